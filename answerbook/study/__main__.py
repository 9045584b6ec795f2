"""``python -m answerbook.study``; workers cannot import a package's ``__main__``, so it holds no code."""

import sys

from answerbook.study.command import main

sys.exit(main())
