"""Every tool of the CNN Answer Book: ``python -m answerbook`` lists them."""
