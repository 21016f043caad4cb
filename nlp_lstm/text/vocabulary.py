"""The words, characters or labels that a model knows, and their ids."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from nlp_lstm.errors import CheckpointError, VocabularyError, shorten

PAD = "<pad>"
UNK = "<unk>"
BOS = "<bos>"
EOS = "<eos>"


class Vocabulary:
    """A fixed two-way map between tokens and ids. It cannot change after it is built.

    Args:
        tokens: all tokens, in the order of their ids; the specials come first.
        specials: how many tokens at the front are specials (``<pad>``, ``<unk>``, …), which text never matches.

    Raises:
        VocabularyError: a token occurs twice or is not a string.
    """

    __slots__ = ("_ids", "num_specials", "tokens")

    def __init__(self, tokens: Iterable[str], *, specials: int) -> None:
        self.tokens: tuple[str, ...] = tuple(tokens)
        self.num_specials = specials
        for token in self.tokens:
            if not isinstance(token, str):
                raise VocabularyError(f"a vocabulary holds {shorten(token)}, which is not a string")
        self._ids: dict[str, int] = {token: index for index, token in enumerate(self.tokens) if index >= specials}
        if len(self._ids) + specials != len(self.tokens):
            raise VocabularyError("a vocabulary holds the same token twice; every token needs one id")

    @classmethod
    def build(
        cls,
        counts: Mapping[str, int],
        *,
        specials: Sequence[str] = (PAD, UNK),
        min_count: int = 1,
        max_size: int | None = None,
    ) -> Vocabulary:
        """Build from token counts: most frequent first, ties in code point order.

        Args:
            counts: how often each token occurs in the training text.
            specials: tokens put in front, with ids 0, 1, ….
            min_count: rarer tokens are left out.
            max_size: at most this many tokens besides the specials.
        """
        kept = [token for token, count in counts.items() if count >= min_count]
        kept.sort(key=lambda token: (-counts[token], token))
        return cls([*specials, *kept[:max_size]], specials=len(specials))

    def extended(self, other: Vocabulary) -> Vocabulary:
        """Return this vocabulary with the tokens of another one behind it, those that it lacks, in their order."""
        further = [token for token in other.tokens[other.num_specials :] if token not in self]
        return Vocabulary((*self.tokens, *further), specials=self.num_specials)

    def id(self, token: str) -> int:
        """Return the token's id, or that of ``<unk>``.

        Raises:
            VocabularyError: the token is not known and the vocabulary has no ``<unk>``.
        """
        found = self._ids.get(token)
        if found is not None:
            return found
        if self.num_specials > 1:
            return 1
        raise VocabularyError(f"{shorten(token)} is not in the vocabulary: {shorten(', '.join(self.tokens), 200)}")

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """Return one id per token."""
        if self.num_specials > 1:  # in one go, for millions of characters
            get = self._ids.get
            return [get(token, 1) for token in tokens]
        return [self.id(token) for token in tokens]

    def get(self, token: str) -> int | None:
        """Return the token's id, or None when it is not known."""
        return self._ids.get(token)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokens == other.tokens and self.num_specials == other.num_specials

    def __hash__(self) -> int:
        return hash((self.tokens, self.num_specials))

    def to_dict(self) -> dict[str, object]:
        """Return the vocabulary as plain values."""
        return {"specials": self.num_specials, "tokens": list(self.tokens)}

    @classmethod
    def from_dict(cls, values: object) -> Vocabulary:
        """Build from what `to_dict` gave.

        Raises:
            CheckpointError: the values are not a vocabulary.
        """
        if isinstance(values, dict):
            check_keys(values, ("specials", "tokens"))
            tokens, specials = values.get("tokens"), values.get("specials")
            if isinstance(tokens, list) and isinstance(specials, int) and 0 <= specials <= len(tokens):
                try:
                    return cls(tokens, specials=specials)
                except VocabularyError as error:
                    raise CheckpointError(f"damaged vocabulary: {error}") from error
        raise CheckpointError(f"damaged vocabulary: found {shorten(values)}, expected tokens and specials")


def check_keys(values: Mapping[str, object], known: Collection[str]) -> None:
    """Check that a part of vocab.json has no keys but the known ones.

    Raises:
        CheckpointError: it has; names the first.
    """
    unknown = next((key for key in values if key not in known), None)
    if unknown is not None:
        raise CheckpointError(f"damaged vocabulary: unknown key {shorten(unknown)}; known keys: {', '.join(known)}")
