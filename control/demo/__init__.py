"""The demo: the main job on real input, from an empty folder to a table of results."""
