"""``python -m answerbook VERB``: every tool of the book, each verb with one line of help."""

import argparse
import os
import sys
from pathlib import Path

from answerbook.project import ROOT, Trouble


def build(args) -> None:
    """Build and check everything into site/: pages, deck, PDF, EPUB, archives."""
    from answerbook.site import pipeline

    pipeline.build(ROOT, args.site)


def check(args) -> None:
    """Say what is wrong after a change: sources, changed snippets, pages, links; no book."""
    from answerbook.site import quick_check

    quick_check.check()


def pages(args) -> None:
    """Write the generated pages only, for programs that call no hooks."""
    from answerbook import pages
    from answerbook.model import read_book

    pages.write(read_book())


def record(args) -> int:
    """Run the snippets and labs that changed and keep what they print and draw."""
    from answerbook.run.record import record

    return record(args.names, args.all)


def replicate(args) -> int:
    """Run each claim that changed on ten sets of seeds that nobody chose."""
    from answerbook.run.replicate import replicate

    return replicate(args.names, args.all)


def study(args) -> int:
    """Certify the studies whose code changed: tune, pair, measure, decide."""
    from answerbook.study import command, results, simulate

    if args.power:
        simulate.write(ROOT)
        return 0
    if args.figures:
        command.draw(args.names)
        return 0
    if args.repeat:
        failed = command.repeat(args.names, args.share, args.jobs)
    else:
        failed = command.certify(args.names, args.again, args.quick, args.jobs)
        failed = failed or [*map(str, results.check(ROOT, command.select(ROOT, args.names)))]
    for line in failed:
        print(line, file=sys.stderr)
    return int(bool(failed))


def test(args) -> int:
    """Run the tests, all of them or those of one topic."""
    from answerbook.run.test import test

    return test(args.names)


def elsewhere(args) -> int:
    """Run all snippets and labs as other processors compute; the outputs must agree."""
    from answerbook.audits.elsewhere import try_all

    return try_all(args.names, args.only, args.keep)


def lock(args) -> None:
    """Say whether the locks are those of the lists; with --write, lock them anew."""
    from answerbook.audits import lock

    lock.main(args.write)


def lighthouse(args) -> int:
    """Ask Lighthouse about the home page and heavy pages of site/."""
    from answerbook.audits.lighthouse import main

    return main(ROOT / "site")


def scale(args) -> int:
    """Build a thousand topic pages with our set-up and with plain Material; compare the costs."""
    from answerbook.audits.scale import main

    return main()


def successors(args) -> int:
    """Compare the pages with those of MkDocs' successors."""
    from answerbook.audits.successors import main

    return main()


def fgsm_model(args) -> None:
    """Train the classifier of the FGSM explorable and write its file."""
    from answerbook.explorables.fgsm_model import main

    main()


VERBS = [
    build,
    check,
    pages,
    record,
    replicate,
    study,
    test,
    elsewhere,
    lock,
    lighthouse,
    scale,
    successors,
    fgsm_model,
]
NAMED = (record, replicate, study, test, elsewhere)  # take names of topics or snippets


def _share(text: str) -> tuple[int, int]:
    number, count = map(int, text.split("/"))
    if not 1 <= number <= count:
        raise ValueError
    return number, count


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m answerbook",
        description="The tools of the CNN Answer Book.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=15, width=110),
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for verb in VERBS:
        one = verbs.add_parser(verb.__name__.replace("_", "-"), help=verb.__doc__, description=verb.__doc__)
        one.set_defaults(verb=verb)
        if verb in NAMED:
            one.add_argument(
                "names", nargs="*", help="<topic>, <topic>/<technique>, labs/<lab>; nothing: all"
            )
        if verb in (record, replicate):
            one.add_argument("--all", action="store_true", help="also what did not change")
        if verb is study:
            one.add_argument("--again", action="store_true", help="on new seeds although nothing changed")
            one.add_argument(
                "--quick", action="store_true", help="each once with a few steps; writes nothing"
            )
            one.add_argument("--repeat", action="store_true", help="run all recorded pairs again and compare")
            one.add_argument(
                "--share", type=_share, default=(1, 1), help="with --repeat: 2/4, the second of four"
            )
            one.add_argument("--figures", action="store_true", help="draw from the results; runs nothing")
            one.add_argument("--power", action="store_true", help="simulate the verdicts: studies/power.json")
            one.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (all cores)")
        if verb is elsewhere:
            one.add_argument("--only", action="append", metavar="KIND", help="this kind of processor")
            one.add_argument("--keep", type=Path, metavar="FOLDER", help="write there what each run printed")
        if verb is build:
            one.add_argument("--site", type=Path, help="folder to build into (site/)")
        if verb is lock:
            one.add_argument("--write", action="store_true", help="lock anew, with uv")
    args = parser.parse_args(arguments)
    try:
        return args.verb(args) or 0
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; recorded files are as they were, the same command goes on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
