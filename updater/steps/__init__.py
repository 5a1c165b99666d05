"""The steps of an update, one public function each; they know nothing of each other."""
