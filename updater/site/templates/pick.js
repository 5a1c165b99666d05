
(function () {
  "use strict";
  var form = document.getElementById("pick");
  var from = document.getElementById("from"), to = document.getElementById("to");
  var said = document.getElementById("said"), pages = {};
  Array.prototype.forEach.call(document.querySelectorAll("a[data-pair]"), function (link) {
    pages[link.getAttribute("data-pair")] = link.href;
  });
  form.hidden = false;
  if (from.options.length > 1) { from.selectedIndex = 1; }
  form.addEventListener("submit", function (event) {
    var page = pages[from.value + ".." + to.value];
    event.preventDefault();
    if (page) {
      location.href = page;
    } else if (from.value === to.value) {
      said.textContent = "These are the same release.";
    } else {
      said.textContent = pages[to.value + ".." + from.value]
        ? "The first is the newer one: turn them round."
        : "There is no page for these two; git has the difference.";
    }
  });
}());
