"""The acts of the demo, one file each. Each has `play`, which takes the scene."""
