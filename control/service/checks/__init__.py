"""The checks of `callboard doctor`, by subject."""
