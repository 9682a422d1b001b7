"""The writer: mails in other languages, release notes, revisions."""

from __future__ import annotations

from typing import Final

import msgspec

from nagare_web.demo.turns import Call, Policy, Step, Turn, View, answering, calling, script

TOOLS: Final = ("list_dir", "read_file", "grep", "create_file", "edit_file")


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """The refund mail in one language, and how it is asked for."""

    title: str
    code: str
    text: str


LETTERS: Final = (
    Letter(
        title="Translate the refund mail into Greek",
        code="el",
        text="Γεια σας {name},\n\nσας επιστρέφουμε {amount} για το {number}. "
        "Θα χρειαστούν τρεις έως πέντε εργάσιμες ημέρες.\n",
    ),
    Letter(
        title="返金メールを日本語に翻訳してください",
        code="ja",
        text="{name} 様\n\n{number} の代金 {amount} を返金いたします。三〜五営業日かかります。\n",
    ),
    Letter(
        title="ترجم رسالة الاسترداد إلى العربية",
        code="ar",
        text="مرحبًا {name}،\n\nسنعيد إليك {amount} عن {number}. يستغرق ذلك من ثلاثة إلى خمسة أيام عمل.\n",
    ),
    Letter(
        title="Refund mail in French, please ✉️",
        code="fr",
        text="Bonjour {name},\n\nnous vous remboursons {amount} pour {number}. Cela prend trois à cinq jours ouvrés.\n",
    ),
)


def translates(letter: Letter) -> Policy:
    """Read the mail and the style guide, and write the mail in another language."""
    path = f"docs/refund-mail.{letter.code}.md"
    return script(
        Turn(
            says="I will read the mail and how we write.",
            calls=(
                Call(tool="read_file", arguments={"path": "docs/refund-mail.md"}),
                Call(tool="read_file", arguments={"path": "docs/style.md"}),
            ),
        ),
        lambda view: Turn(
            says="The three names in braces must stay as they are.",
            calls=(
                Call(
                    tool="create_file",
                    arguments={"path": path, "content": letter.text},
                    uses=tuple(view.results("read_file")[:1]),
                ),
            ),
        ),
        answering(f"The mail is in {path}."),
    )


def notes_release(version: str) -> Policy:
    """Write a release note from the list of changes."""
    path = f"docs/release-{version}.md"
    return script(
        calling("The changes are in CHANGES.md.", "read_file", path="CHANGES.md"),
        lambda view: Turn(
            says="Three sentences will do.",
            calls=(
                Call(
                    tool="create_file",
                    uses=(view.result("read_file"),),
                    arguments={
                        "path": path,
                        "content": f"# Version {version}\n\nReminders say how many days are left. Yen have no cents.\n",
                    },
                ),
            ),
        ),
        lambda view: answering(
            f"The note is in {path}: {view.result('create_file').value['lines']} lines.", view.result("create_file")
        ),
    )


def revises(rounds: int) -> Policy:
    """Make the style guide longer, a sentence at a time, reading it again after each."""
    steps: list[Step] = [calling("I will read the style guide.", "read_file", path="docs/style.md")]
    for at in range(1, rounds + 1):
        old = "Amounts with two places." if at == 1 else f"Rule {at - 1} holds for mails."
        steps += [
            calling(
                "One more sentence.",
                "edit_file",
                path="docs/style.md",
                old=old,
                new=f"{old} Rule {at} holds for mails.",
            ),
            calling("Does it read well?", "read_file", path="docs/style.md"),
        ]
    return script(*steps, _revised)


def _revised(view: View) -> Turn:
    guide = view.result("read_file")
    return answering(f"The guide has {len(guide.text.split())} words now.", guide)
