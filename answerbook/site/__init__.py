"""The site: checks of its sources, its build, what finishes it, checks of what came out."""
