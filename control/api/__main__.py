"""`python -m control.api`: the same as `callboard api`."""

from control.cli import main

if __name__ == "__main__":
    main(["api"])
