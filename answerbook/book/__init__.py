"""The book as PDF and EPUB and the deck for Anki, from the built pages."""
