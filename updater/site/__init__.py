"""A static site of a repository of releases: for publishers, and whoever reads."""
