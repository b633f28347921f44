"""The grammar of ``/runbook``: one line of text becomes one frozen request, or a refusal with its place and cure.

One pass over the text, so that a flood of odd commands costs no more than its length. Nothing here may look
anything up: whether a runbook or session exists is for the use cases to say.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from bot.grammar import (
    USAGES,
    Cancel,
    Doctor,
    Execute,
    Help,
    History,
    ListRunbooks,
    Pause,
    Pending,
    PlanIt,
    Request,
    Resume,
    Show,
    Status,
    Why,
)
from engine.errors import InvalidInput
from engine.plaintext import code_point, is_invisible

MAX_TEXT = 8000  #: characters; far more than any real command
MAX_WORDS = 200
_SMART_QUOTES = frozenset("\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb")
_QUOTES = frozenset("\"'")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_RUNBOOK = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)
_SESSION = re.compile(r"#?([0-9]{1,15})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word of the command, quotes removed; ``start`` is its first character's place, from 1."""

    text: str
    start: int
    end: int


def parse(text: str) -> Request:
    """Read the text after ``/runbook``."""
    if len(text) > MAX_TEXT:
        raise InvalidInput(f"The command has {len(text)} characters.", hint=f"At most {MAX_TEXT} are read.")
    verb, rest = _verb(text)
    if not verb or verb.lower() == "help":
        return Help()  # whatever follows: somebody who asks for help gets it
    _require_visible(text)
    reader = READERS.get(verb.lower())
    if reader is None:
        raise InvalidInput(f"There is no command `{_short(verb)}`.", hint=_nearest(verb.lower()))
    return reader(rest)


def parse_values(words: Iterable[str]) -> dict[str, str]:
    """Read ``key=value`` words that were already split, as a shell does it."""
    return _pairs([Word(text=word, start=0, end=0) for word in words])


# ---------------------------------------------------------------- one reader per verb


def _help(_rest: Word) -> Help:
    return Help()


def _list(rest: Word) -> ListRunbooks:
    _no_more("list", _words(rest))
    return ListRunbooks()


def _show(rest: Word) -> Show:
    name, more = _named("show", _words(rest))
    _no_more("show", more)
    return Show(runbook=name)


def _plan(rest: Word) -> PlanIt:
    name, more = _named("plan", _words(rest))
    values = _pairs(more)
    return PlanIt(runbook=name, vm=values.pop("vm", ""), values=values)


def _execute(rest: Word) -> Execute:
    words = _words(rest)
    if not words:
        return Execute()
    name, more = _named("execute", words)
    values = _pairs(more)
    vm, ticket = values.pop("vm", ""), values.pop("ticket", "")
    return Execute(runbook=name, vm=vm, ticket=ticket, values=values)


def _status(rest: Word) -> Status:
    words = _words(rest)
    if not words:
        return Status()
    return Status(session=_only_session("status", words))


def _why(rest: Word) -> Why:
    return Why(session=_only_session("why", _words(rest)))


def _pending(rest: Word) -> Pending:
    _no_more("pending", _words(rest))
    return Pending()


def _history(rest: Word) -> History:
    words = _words(rest)
    values = _pairs(words)
    ticket = values.pop("ticket", "")
    if values:
        raise InvalidInput(f"`history` knows no `{next(iter(values))}`.", hint=_usage("history"))
    return History(ticket=ticket)


def _cancel(rest: Word) -> Cancel:
    """The reason is taken as it was typed, quotes and apostrophes included."""
    first, *reason = rest.text.split(maxsplit=1)[:2] or [""]
    words = [Word(text=first, start=rest.start, end=rest.end)] if first else []
    return Cancel(session=_only_session("cancel", words), reason=" ".join(reason).strip())


def _pause(rest: Word) -> Pause:
    return Pause(session=_only_session("pause", _words(rest)))


def _resume(rest: Word) -> Resume:
    return Resume(session=_only_session("resume", _words(rest)))


def _doctor(rest: Word) -> Doctor:
    words = _words(rest)
    if not words:
        return Doctor()
    _no_more("doctor", words[1:])
    return Doctor(vm=words[0].text.removeprefix("vm="))


READERS: Mapping[str, Callable[[Word], Request]] = {
    "help": _help,
    "list": _list,
    "show": _show,
    "plan": _plan,
    "execute": _execute,
    "status": _status,
    "why": _why,
    "pending": _pending,
    "history": _history,
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
    "doctor": _doctor,
}

# ---------------------------------------------------------------- words


def _verb(text: str) -> tuple[str, Word]:
    """Cut off the first word; the rest keeps its places in the whole text."""
    lead = len(text) - len(text.lstrip())
    verb, *rest = text[lead:].split(maxsplit=1)[:2] or [""]
    if not rest:
        return verb, Word(text="", start=len(text) + 1, end=len(text) + 1)
    start = len(text) - len(rest[0])
    return verb, Word(text=rest[0], start=start + 1, end=len(text) + 1)


def _words(rest: Word) -> list[Word]:
    words = list(_split(rest.text, rest.start))
    if len(words) > MAX_WORDS:
        raise InvalidInput(f"The command has {len(words)} words.", hint=f"At most {MAX_WORDS} are read.")
    return words


def _split(text: str, offset: int) -> Iterator[Word]:
    """Split at blanks; what stands between two equal straight quotes stays together."""
    word: list[str] | None = None
    start, quote, opened = 0, "", 0
    for index, character in enumerate(text):
        place = index + offset
        if quote:
            if character == quote:
                quote = ""
            else:
                assert word is not None
                word.append(_plain(character, place))
        elif character.isspace():
            if word is not None:
                yield Word(text="".join(word), start=start, end=place)
            word = None
        else:
            if word is None:
                word, start = [], place
            if character in _QUOTES:
                quote, opened = character, place
            else:
                word.append(_unquoted(character, place))
    if quote:
        raise InvalidInput(f"The quote at character {opened} is never closed.", hint=f"Add a closing {quote} .")
    if word is not None:
        yield Word(text="".join(word), start=start, end=len(text) + offset)


def _unquoted(character: str, place: int) -> str:
    if character in _SMART_QUOTES:
        raise InvalidInput(
            f"Character {place} is a typographic quote ({character}), which is not read as a quote.",
            hint="Type straight quotes: \" or '. Slack's preferences can switch smart quotes off.",
        )
    return _plain(character, place)


def _plain(character: str, place: int) -> str:
    if is_invisible(character):
        raise InvalidInput(f"Character {place} is {code_point(character)}, which nobody can see.", hint="Remove it.")
    return character


def _require_visible(text: str) -> None:
    """Refuse what nobody can see anywhere in the command, also where it would only part two words."""
    for place, character in enumerate(text, start=1):
        if character not in "\n\t":
            _plain(character, place)


# ---------------------------------------------------------------- parts


def _named(verb: str, words: list[Word]) -> tuple[str, list[Word]]:
    if not words:
        raise InvalidInput(f"`{verb}` needs the name of a runbook.", hint=_usage(verb))
    name = words[0].text
    if not _RUNBOOK.fullmatch(name):
        raise InvalidInput(
            f"Character {words[0].start}: `{_short(name)}` is not the name of a runbook.",
            hint=f"{_usage(verb)} `/runbook list` shows the names.",
        )
    return name, words[1:]


def _pairs(words: list[Word]) -> dict[str, str]:
    values: dict[str, str] = {}
    for word in words:
        key, equals, value = word.text.partition("=")
        where = f"Character {word.start}: " if word.start else ""
        if not equals:
            raise InvalidInput(
                f"{where}`{_short(word.text)}` has no value.", hint='Write `key=value` or `key="two words"`.'
            )
        if not _KEY.fullmatch(key):
            raise InvalidInput(
                f"{where}`{_short(key)}` is not the name of a parameter.",
                hint="Names are lower-case letters, digits and `_`, without blanks around the `=`.",
            )
        if key in values:
            raise InvalidInput(f"{where}`{key}` is given twice.", hint="Keep one of them.")
        values[key] = value
    return values


def _only_session(verb: str, words: list[Word]) -> int:
    if not words:
        raise InvalidInput(f"`{verb}` needs the number of a session.", hint=_usage(verb))
    found = _SESSION.fullmatch(words[0].text)
    if found is None:
        raise InvalidInput(
            f"Character {words[0].start}: `{_short(words[0].text)}` is not the number of a session.",
            hint=f"{_usage(verb)} `/runbook status` shows the numbers.",
        )
    _no_more(verb, words[1:])
    return int(found.group(1))


def _no_more(verb: str, words: list[Word]) -> None:
    if words:
        raise InvalidInput(
            f"Character {words[0].start}: `{_short(words[0].text)}` is one word too many.", hint=_usage(verb)
        )


def _usage(verb: str) -> str:
    return f"Write `/runbook {USAGES[verb].pattern}`."


def _nearest(verb: str) -> str:
    if verb in {"approve", "reject"}:
        return "Approvals are given with the buttons in the session's thread: `/runbook pending` finds them."
    near = {"run": "execute", "start": "execute", "stop": "cancel", "abort": "cancel"}.get(verb[:40])
    near = near or next(iter(difflib.get_close_matches(verb[:40], READERS, n=1)), None)
    return f"Did you mean `{near}`?" if near else "`/runbook help` shows them all."


def _short(text: str) -> str:
    cut = text[:40] + ("…" if len(text) > 40 else "")
    return cut.replace("`", "'")
