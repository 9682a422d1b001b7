"""Signing a report as PDF (PAdES, baseline B-B): the file was made by this installation and not changed since.

The key is P-256, since readers of PDF know that one; the log's is another. Its certificate is of this installation's
own making unless the operator hands one in: a reader then has to be told its fingerprint by another way. The signature
is a later part of the file, so that the signed bytes are the report as it was made, byte for byte.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from journal.errors import JournalError
from journal.runtime import private_file
from journal.runtime.in_use import InUse

FIELD: Final = "nagare"
_YEARS: Final = 10


class SigningUnavailable(JournalError):
    """The optional package is not installed."""

    def __init__(self) -> None:
        super().__init__("PDFs cannot be signed here: install nagare-web[signing]; an unsigned PDF can be made")


class ReportKey:
    """The key and certificate that sign PDFs, in one file that its owner alone can read; made on first use."""

    def __init__(self, path: Path, *, name: str) -> None:
        """Read nothing yet."""
        self._path = path
        self._name = name

    def pem(self) -> bytes:
        """Return key and certificate, in one text."""
        if not self._path.exists():
            self._make()
        return self._path.read_bytes()

    def fingerprint(self) -> str:
        """Return the SHA-256 of the certificate, in hex."""
        certificate = x509.load_pem_x509_certificate(self.pem())
        return certificate.fingerprint(hashes.SHA256()).hex()

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name[:64])])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=365 * _YEARS))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_USAGE, critical=True)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        text = private + certificate.public_bytes(serialization.Encoding.PEM)
        private_file.place(self._path, text)


_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def sign(pdf: bytes, key: ReportKey, *, reason: str) -> bytes:
    """Return the PDF with a signature that covers all of it and permits no change.

    Raises:
        SigningUnavailable: pyHanko is not installed.
    """
    try:
        from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter  # noqa: PLC0415 - an extra
        from pyhanko.sign import fields, signers  # noqa: PLC0415
        from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter  # noqa: PLC0415
    except ImportError as error:
        raise SigningUnavailable from error
    signer = _signer(signers, key.pem())
    metadata = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
        reason=reason,
    )
    out = BytesIO()
    spec = fields.SigFieldSpec(FIELD)
    signers.PdfSigner(metadata, signer=signer, new_field_spec=spec).sign_pdf(
        IncrementalPdfFileWriter(BytesIO(pdf)), output=out
    )
    return out.getvalue()


def _signer(signers: Any, pem: bytes) -> Any:
    """Return pyHanko's signer for a key in memory."""
    from asn1crypto import keys  # noqa: PLC0415 - comes with pyHanko
    from asn1crypto import x509 as asn1_x509  # noqa: PLC0415
    from pyhanko_certvalidator.registry import SimpleCertificateStore  # noqa: PLC0415

    private = serialization.load_pem_private_key(pem, password=None).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    return signers.SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(certificate),
        signing_key=keys.PrivateKeyInfo.load(private),
        cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]
    )


_known: Final = InUse[ReportKey]("audits")
use = _known.use
in_use = _known.in_use
"""The key that signs PDFs here."""
