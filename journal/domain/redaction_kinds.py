"""What secrets and personal data look like. A kind has needles, one of which stands in all that it could match.

Patterns are anchored at both ends and take time linear in the text: repetitions are of one class of characters, and
what follows them is none of that class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

BLOCK: Final = "private_key"
_TO_THE_END: Final = re.compile(
    rb'(?:[^\\"\x80-\xff]|\\+(?:u[0-9a-fA-F]{4}|[^\\"])|[\xc2-\xf4][\x80-\xbf]+|\xff+){0,20000}', re.DOTALL
)
"""To the end of the string that a place stands in, at whatever depth, and no more than so many characters.

It stops between characters: an escape, however deep, is one, and so are those beside each other that became a byte
of their own, since two of them may be one character.
"""

# Before a secret stands no letter, digit or what tokens are made of; an escape such as \n ends what was before it.
_LEFT: Final = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf]))"
_STRICT: Final = rb"(?:(?<![A-Za-z0-9_/+.-])|(?<=\\[nrtbf]))"
"""Also none of the characters of base64: for kinds that are told by four letters."""
_RIGHT: Final = rb"(?![A-Za-z0-9_-])"
_SAYS: Final = rb"[\"'\\\s:=>]{1,12}"
"""Between a name and its value, in whatever language and however deep in quotations."""


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of secret. Where the pattern has a group, that alone is the secret.

    `hint` is RE2's, and matches in every text in which the pattern does.
    """

    name: str
    title: str
    needles: tuple[bytes, ...]
    hint: bytes
    pattern: re.Pattern[bytes]
    is_secret: Callable[[bytes], bool] = bool

    def spans(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Yield where secrets stand in JSON text."""
        if self.name == BLOCK:
            yield from _blocks(self.pattern, text)
            return
        for found in self.pattern.finditer(text):
            start, end = found.span(found.lastindex or 0)
            if self.is_secret(text[start:end]):
                yield start, end


class Personal(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of personal data, found in decoded text."""

    name: str
    title: str
    needle: str
    pattern: re.Pattern[str]
    is_one: Callable[[str], bool] = bool

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where it stands."""
        if self.needle in text:
            yield from (found.span() for found in self.pattern.finditer(text) if self.is_one(found[0]))


def _blocks(begins: re.Pattern[bytes], text: bytes) -> Iterator[tuple[int, int]]:
    """Yield blocks from BEGIN to the dashes behind END; one without an END goes to the end of its string."""
    after = 0
    for found in begins.finditer(text):
        if found.start() < after:
            continue
        string = _TO_THE_END.match(text, found.end())
        limit = string.end() if string else found.end()
        end = text.find(b"-----END", found.end(), limit)
        dashes = text.find(b"-----", end + 8, min(end + 80, limit)) if end >= 0 else -1
        after = dashes + 5 if dashes >= 0 else limit
        yield found.start(), after


def _has_digit(secret: bytes) -> bool:
    return any(48 <= byte <= 57 for byte in secret)  # noqa: PLR2004 - 0 to 9


def _is_mixed(secret: bytes) -> bool:
    """Tell a random key from words put together and from a digest in hex."""
    return _has_digit(secret) and secret.upper() != secret and secret.lower() != secret


def _is_no_mark(secret: bytes) -> bool:
    """Tell a password from what stands for one: a variable, a mask, or a placeholder."""
    return not (secret.startswith((b"$", b"{", b"<", b"%", b"[")) or set(secret) <= set(b"*xX.-"))


def _kind(  # noqa: PLR0913 - what a kind consists of
    name: str,
    title: str,
    needles: str,
    hint: bytes,
    pattern: bytes,
    *,
    is_secret: Callable[[bytes], bool] = bool,
    flags: int = 0,
) -> Secret:
    marks = tuple(needle.encode() for needle in needles.split(" "))
    return Secret(
        name=name, title=title, needles=marks, hint=hint, pattern=re.compile(pattern, flags), is_secret=is_secret
    )


SECRETS: Final = (
    _kind(
        BLOCK,
        "private key",
        "-----BEGIN",
        rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY",
        rb"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    ),
    _kind(
        "aws_access_key",
        "AWS access key id",
        "AKIA ASIA ABIA ACCA",
        rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",
        _STRICT + rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9_/+-])",
    ),
    _kind(
        "aws_secret_key",
        "AWS secret key",
        "ecretAccessKey ecret_access_key ECRET_ACCESS_KEY ecret_key",
        rb"[Ss]ecretAccessKey|[Ss]ecret_access_key|SECRET_ACCESS_KEY|aws_secret_key",
        rb"(?:[Ss]ecretAccessKey|[Ss]ecret_access_key|SECRET_ACCESS_KEY|aws_secret_key)"
        + _SAYS
        + rb"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        is_secret=_is_mixed,
    ),
    _kind(
        "gcp_api_key", "Google API key", "AIza", rb"AIza[A-Za-z0-9_-]{10}", _STRICT + rb"AIza[A-Za-z0-9_-]{35}" + _RIGHT
    ),
    _kind(
        "gcp_oauth",
        "Google OAuth token or client secret",
        "ya29. GOCSPX-",
        rb"ya29\.[A-Za-z0-9_-]{10}|GOCSPX-",
        _LEFT + rb"(?:ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{28})" + _RIGHT,
    ),
    _kind(
        "azure_key",
        "Azure key or client secret",
        "AccountKey= SharedAccessKey= 8Q~ sig=",
        rb"AccountKey=|SharedAccessKey=|8Q~|[?&;]sig=",
        rb"(?:AccountKey=([A-Za-z0-9+/]{86}==)|SharedAccessKey=([A-Za-z0-9+/]{43}=)"
        rb"|(?<![A-Za-z0-9_~.-])([A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{34})(?![A-Za-z0-9_~.-])"
        rb"|[?&;]sig=([A-Za-z0-9+/%]{40,100}(?:%3[Dd]|=))(?![A-Za-z0-9+/%]))",
    ),
    _kind(
        "github_token",
        "GitHub token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        rb"gh[pousr]_[A-Za-z0-9]{10}|github_pat_",
        _LEFT + rb"(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})" + _RIGHT,
    ),
    _kind(
        "gitlab_token",
        "GitLab token",
        "glpat- glptt- gldt- glrt- glcbt- glsoat- glft-",
        rb"gl(?:pat|ptt|dt|rt|cbt|soat|ft)-",
        _LEFT + rb"gl(?:pat|ptt|dt|rt|cbt|soat|ft)-[A-Za-z0-9_.-]{20,300}(?![A-Za-z0-9_-])",
    ),
    _kind(
        "slack_token",
        "Slack token or webhook",
        "xox hooks.slack.com/services/ xapp-",
        rb"xox[abeoprs]-|xapp-|hooks\.slack\.com/services/",
        rb"(?:"
        + _LEFT
        + rb"(?:xox[abeoprs]-(?:[0-9]{1,13}-)*[A-Za-z0-9-]{10,250}|xapp-[0-9]-[A-Za-z0-9-]{20,250})"
        + _RIGHT
        + rb"|hooks\.slack\.com/services/(T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{18,30}))",
        is_secret=_has_digit,
    ),
    _kind(
        "stripe_key",
        "Stripe key",
        "k_live_ k_test_ whsec_",
        rb"[sr]k_(?:live|test)_|whsec_",
        _LEFT + rb"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,250}|whsec_[A-Za-z0-9+/=]{32,100})" + _RIGHT,
        is_secret=_has_digit,
    ),
    _kind(
        "anthropic_key",
        "Anthropic key",
        "sk-ant-",
        rb"sk-ant-",
        _LEFT + rb"sk-ant-[A-Za-z0-9]{2,10}-[A-Za-z0-9_-]{32,200}" + _RIGHT,
    ),
    _kind(
        "openai_key",
        "OpenAI key",
        "sk-",
        rb"sk-(?:(?:proj|svcacct|admin|None)-|[A-Za-z0-9]{20})",
        _LEFT + rb"sk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{40,250}|[A-Za-z0-9]{40,64})" + _RIGHT,
        is_secret=_is_mixed,
    ),
    _kind(
        "package_token",
        "npm, PyPI or Hugging Face token",
        "npm_ pypi-AgEI hf_",
        rb"npm_[A-Za-z0-9]{10}|pypi-AgEI|hf_[A-Za-z]{10}",
        _LEFT + rb"(?:npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{50,500}|hf_[A-Za-z]{34})" + _RIGHT,
    ),
    _kind(
        "nagare_token",
        "token of this program",
        "ngr_",
        rb"ngr_[A-Za-z0-9_-]{10}",
        _LEFT + rb"ngr_[A-Za-z0-9_-]{43}" + _RIGHT,
    ),
    _kind(
        "jwt",
        "JSON Web Token",
        "eyJ",
        rb"eyJ[A-Za-z0-9_-]+\.eyJ",
        _LEFT + rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}" + _RIGHT,
    ),
    _kind(
        "authorization",
        "bearer or basic authorization",
        "earer BEARER asic BASIC",
        rb"(?i:bearer|basic)[ \t]+[A-Za-z0-9._~+/-]{20}",
        rb"(?i:(?:\bbearer[ \t]{1,4}|authorization" + _SAYS + rb"basic[ \t]{1,4}))"
        rb"([A-Za-z0-9._~+/-]{20,4096}={0,2})(?![A-Za-z0-9._~+/=-])",
        is_secret=_has_digit,
    ),
    _kind(
        "url_password",
        "password in an address",
        "://",
        rb"://[^\s/:@?#\"\\<>]*:[^\s/@\"\\<>?#]{3,}@",
        rb"(?<=[A-Za-z0-9])://[^\s/:@?#\"\\<>]{0,128}:([^\s/@\"\\<>?#]{3,256})@(?=[A-Za-z0-9\[])",
        is_secret=_is_no_mark,
    ),
)
"""Replaced unless a project says otherwise. Where two could be meant, the one that stands first is."""


# --- Personal ---------------------------------------------------------------------------------------------------------

_SHORTEST_CARD: Final = 13
_LONGEST_CARD: Final = 19
_PHONE_DIGITS: Final = range(8, 16)


def _is_card(text: str) -> bool:
    """Check length and Luhn's sum."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    if not _SHORTEST_CARD <= len(digits) <= _LONGEST_CARD or len(set(digits)) == 1:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """Check the two digits: ISO 13616, remainder 1 of 97."""
    plain = text.replace(" ", "")
    return 15 <= len(plain) <= 34 and int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1  # noqa: PLR2004 - the standard's


def _is_phone(text: str) -> bool:
    return sum(letter.isdigit() for letter in text) in _PHONE_DIGITS


PERSONAL: Final = (
    Personal(
        name="email",
        title="e-mail address",
        needle="@",
        pattern=re.compile(
            r"(?<![\w.+-])[A-Za-z0-9_][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}\.[A-Za-z]{2,24}(?![\w-])",
            re.ASCII,
        ),
    ),
    Personal(
        name="iban",
        title="IBAN",
        needle="",
        pattern=re.compile(
            r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
        ),
        is_one=_is_iban,
    ),
    Personal(
        name="card",
        title="payment card number",
        needle="",
        pattern=re.compile(r"(?<![\w.-])[2-6][0-9]{3}(?:[ -]?[0-9]){9,15}(?![\w-])", re.ASCII),
        is_one=_is_card,
    ),
    Personal(
        name="phone",
        title="telephone number, with + and country",
        needle="+",
        pattern=re.compile(r"(?<![\w+])\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}(?![\w])", re.ASCII),
        is_one=_is_phone,
    ),
)
"""Left alone unless a project says otherwise."""

NAMES: Final = tuple(kind.name for kind in (*SECRETS, *PERSONAL))
