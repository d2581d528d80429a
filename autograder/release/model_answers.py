"""What model answers give away: their prose, single sentences of it, and the code in them. Prompts and rubrics students see anyway."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autograder.checking.notebook_commands import parsed
from autograder.course.questions import Question, load_questions
from autograder.course.table import CourseError
from autograder.release.errors import ReleaseError
from autograder.release.wording import LEAST_SENTENCE, letters

WHERE = "reference_solutions/questions/*.md"

_LEAST_FORMULA, _LEAST_DIGITS = 12, 6  # but a short one that is made of numbers is not
_CODE = re.compile(r"^([ \t]*)(```+|~~~+)[^\n]*\n(.*?)^[ \t]*\2[ \t]*$\n?", re.MULTILINE | re.DOTALL)
_PARAGRAPH = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:[-+*|>]|\d+[.)]) ?)")
_SENTENCE_END = re.compile(r"(?<=[.!?:;])\s+|\$\$")


@dataclass(frozen=True)
class ModelAnswer:
    """prose: the answer without its code. code: its blocks of Python."""

    question: str
    path: str
    prose: str
    code: tuple[str, ...]

    def __str__(self) -> str:
        return f"the model answer to {self.question!r} in {self.path}"

    def sentences(self) -> Iterator[str]:
        """The letters of each sentence, row and formula that is long enough to be told by it."""
        for paragraph in _PARAGRAPH.split(self.prose):
            for sentence in _SENTENCE_END.split(paragraph):
                said = letters(sentence)
                digits = sum(character.isdigit() for character in said)
                if len(said) >= LEAST_SENTENCE or (len(said) >= _LEAST_FORMULA and digits >= _LEAST_DIGITS):
                    yield said


@dataclass(frozen=True)
class ModelAnswers:
    """public: what students read of the same questions."""

    answers: tuple[ModelAnswer, ...] = ()
    public: tuple[str, ...] = field(default=())


def read_model_answers(repository: Path) -> ModelAnswers:
    """Raises ReleaseError when a file cannot be read, or holds an answer that is too short to be told."""
    answers: list[ModelAnswer] = []
    public: list[str] = []
    for path in sorted(repository.glob(WHERE)):
        try:
            questions = load_questions(repository, path.stem)
        except CourseError as error:
            raise ReleaseError(f"model answers cannot be kept back: {error}") from None
        public += [part for question in questions for part in (question.prompt, question.rubric)]
        answers += [_model_answer(question, path.relative_to(repository).as_posix()) for question in questions]
    _check_telling(answers, public)
    return ModelAnswers(tuple(answers), tuple(public))


def _model_answer(question: Question, path: str) -> ModelAnswer:
    code = []

    def cut(block: re.Match[str]) -> str:
        source = textwrap.dedent(block[3])
        if parsed(source) is None:
            return block[0]
        code.append(source)
        return "\n\n"

    prose = _CODE.sub(cut, question.answer)
    return ModelAnswer(question.id, path, prose, tuple(code))


def _check_telling(answers: Sequence[ModelAnswer], public: Iterable[str]) -> None:
    shown = letters("\n".join(public))
    for answer in answers:
        if all(sentence in shown for sentence in answer.sentences()):
            raise ReleaseError(f"{answer} has no sentence of its own of {LEAST_SENTENCE} letters, so that nobody would see it leak; write one out")
