"""`python -m scratchproof` does what `scratchproof` does."""

from scratchproof.cli import main

if __name__ == "__main__":
    main()
