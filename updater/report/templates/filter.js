
(function () {
  "use strict";
  var box = document.getElementById("filter");
  if (!box) { return; }
  var said = document.getElementById("found");
  var groups = Array.prototype.slice.call(document.querySelectorAll("#files details"));
  box.form.hidden = false;
  box.form.addEventListener("submit", function (event) { event.preventDefault(); });
  box.addEventListener("input", function () {
    var want = box.value.trim().toLowerCase(), total = 0;
    groups.forEach(function (group) {
      var place = group.querySelector("summary code"), found = 0;
      var below = place ? place.textContent + "/" : "";
      Array.prototype.forEach.call(group.querySelectorAll("tbody tr"), function (row) {
        var hit = (below + row.cells[1].textContent).toLowerCase().indexOf(want) >= 0;
        row.hidden = !hit;
        found += hit ? 1 : 0;
      });
      group.hidden = !found;
      group.open = want !== "" && found > 0;
      total += found;
    });
    said.textContent = want ? total + " found" : "";
  });
}());
