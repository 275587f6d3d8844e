"""`python -m control.cli`: the command without its script."""

from control.cli import main

if __name__ == "__main__":
    main()
