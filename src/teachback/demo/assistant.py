"""The support assistant: finds what fits, words it, and says what it was given to go on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from teachback.demo.chat_model import ChatModel, Completion, ModelError
from teachback.demo.library import Library
from teachback.demo.passages import ExtraText, Hit, Shelf, extra_passages, library_passages
from teachback.demo.reply import Given, Message, Reply
from teachback.demo.wording import choose_template, fill_template
from teachback.demo.words import questions_in, terms

#: A question with fewer telling words than this leans on the one before it.
SHORT_QUESTION = 2
#: Share of the best hit's score that makes another page worth putting into the context.
WORTH_READING = 0.5
#: What the answers are signed with when no model is configured.
NO_MODEL = "retrieval-and-templates"
#: Tokens per word of English, near enough for a count without a tokenizer.
TOKENS_PER_WORD = 1.3


class Assistant:
    """Answers questions from a library, by itself or with a language model."""

    def __init__(self, library: Library, *, model: ChatModel | None = None) -> None:
        self.library = library
        self.model = model
        self._passages = library_passages(library)
        self._shelf = Shelf(self._passages)

    def answer(
        self,
        query: str,
        history: Sequence[Message] = (),
        extra_context: Sequence[ExtraText] = (),
    ) -> Reply:
        """Answer one question of a conversation; never raises when the model is away."""
        started = time.perf_counter()
        hits = self._search(query, history, extra_context)
        searched = time.perf_counter()
        given = self._given(hits, history, extra_context)
        worded, error = self._word(query, hits, extra_context, given)
        return Reply(
            text=worded.text,
            given=given,
            model=worded.model,
            latency_ms=(time.perf_counter() - started) * 1000,
            search_ms=(searched - started) * 1000,
            input_tokens=worded.input_tokens or count_tokens([query, *(g.content for g in given)]),
            output_tokens=worded.output_tokens or count_tokens([worded.text]),
            error=error,
        )

    def _search(
        self, query: str, history: Sequence[Message], extras: Sequence[ExtraText]
    ) -> list[Hit]:
        given = extra_passages(extras)
        shelf = Shelf([*self._passages, *given]) if given else self._shelf
        asked = [message.text for message in history if message.role == "user"]
        is_short = len(set(terms(query))) < SHORT_QUESTION
        earlier = asked[-1] if asked and is_short else ""
        found = [shelf.search(each, earlier=earlier) for each in questions_in(query)]
        return max(found, key=lambda hits: hits[0].score if hits else 0.0)

    def _word(
        self,
        query: str,
        hits: Sequence[Hit],
        extras: Sequence[ExtraText],
        given: Sequence[Given],
    ) -> tuple[Completion, str | None]:
        """Word the reply with the model, or with templates and the reason why not the model."""
        fitting = hits if hits and hits[0].coverage >= self.library.settings.min_match else []
        template = choose_template(self.library, query, fitting, extras)
        plain = Completion(text=fill_template(template, fitting), model=NO_MODEL)
        if self.model is None:
            return plain, None
        try:
            return self.model.complete(query, given, form=template.text), None
        except ModelError as error:
            return plain, str(error)

    def _given(
        self, hits: Sequence[Hit], history: Sequence[Message], extras: Sequence[ExtraText]
    ) -> tuple[Given, ...]:
        prompt = self.library.system_prompt
        instructions = Given(
            kind="system_prompt",
            name=prompt.name,
            content=prompt.text.strip(),
            version=prompt.version,
        )
        messages = [Given(kind="message", name=each.role, content=each.text) for each in history]
        return (instructions, *map(_given_extra, extras), *self._sources(hits), *messages)

    def _sources(self, hits: Sequence[Hit]) -> Iterable[Given]:
        """Return the pages and actions that the best hits are taken from, each once."""
        best: dict[str, float] = {}
        for hit in hits:
            if hit.score >= WORTH_READING * hits[0].score:
                best.setdefault(hit.passage.source, hit.score)
        sources = [self._source(name, score) for name, score in best.items()]
        found = [source for source in sources if source]
        return found[: self.library.settings.documents]

    def _source(self, name: str, score: float) -> Given | None:
        if page := self.library.documents.get(name):
            return Given(
                kind="document",
                name=name,
                content=page.content,
                version=page.version,
                score=round(score, 2),
            )
        if action := self.library.actions.get(name):
            steps = "\n".join([action.title, *action.steps])
            return Given(kind="tool", name=name, content=steps, version=action.version)
        return None


def count_tokens(texts: Iterable[str]) -> int:
    """Estimate tokens from words."""
    return round(TOKENS_PER_WORD * sum(len(text.split()) for text in texts))


def _given_extra(extra: ExtraText) -> Given:
    return Given(kind="document", name=extra.id, content=extra.text, version=extra.version)
