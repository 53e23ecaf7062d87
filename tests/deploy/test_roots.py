"""Roots: laid out one by one, each is found where OpenSSL looks for it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from deploy.roots import hash_name, lay_out, write
from shared.connections import ROOTS_FOLDER

Parts = list[tuple[x509.ObjectIdentifier, str, x509.name._ASN1Type | None]]

# Canonical: case of ASCII, spaces around and between, and the kind of string make no difference.
NAMES: dict[str, Parts] = {
    "plain": [(NameOID.COMMON_NAME, "Example Root", None)],
    "several_parts": [
        (NameOID.COUNTRY_NAME, "PE", None),
        (NameOID.ORGANIZATION_NAME, "Ñandú  S.A.C. ", None),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, " RAÍZ   de Prueba", None),
        (NameOID.COMMON_NAME, "Example ROOT G2", x509.name._ASN1Type.PrintableString),
    ],
    "long_oid": [
        (x509.ObjectIdentifier("2.5.4.97"), "VATES-A00000000", None),
        (x509.ObjectIdentifier("1.2.840.113549.1.9.1"), "ca@example.com", x509.name._ASN1Type.IA5String),
        (NameOID.COMMON_NAME, "x" * 60, None),
        (NameOID.ORGANIZATION_NAME, "y" * 60, None),
        (NameOID.LOCALITY_NAME, "z" * 100, None),
    ],
}


def make_name(parts: Parts) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, text, kind) for oid, text, kind in parts])


def sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_root: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=is_root,
                crl_sign=is_root,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("server.example")]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def shake_hands(folder: Path, served: Path) -> None:
    """Shake hands in memory, as a client that trusts the folder alone."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(served)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_context = ssl.create_default_context(capath=folder)
    client = client_context.wrap_bio(to_client, to_server, server_hostname="server.example")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


@pytest.mark.parametrize("name", NAMES)
def test_a_server_is_trusted_by_its_root_alone(name: str, tmp_path: Path) -> None:
    key, other_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    subject = make_name(NAMES[name])
    root = sign(subject, subject, key, key, is_root=True)
    # Of the same name, so that OpenSSL must try the second one too.
    other = sign(subject, subject, other_key, other_key, is_root=True)
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = sign(make_name(NAMES["plain"]), subject, server_key, key, is_root=False)
    served = tmp_path / "server.pem"
    private = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    served.write_bytes(private + server.public_bytes(Encoding.PEM))
    write([other, root], tmp_path / "trusted")
    write([other], tmp_path / "strangers")

    shake_hands(tmp_path / "trusted", served)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path / "strangers", served)


def test_case_and_spaces_of_a_name_change_nothing() -> None:
    spellings = ("Example Root", " example   ROOT ", "EXAMPLE\tROOT")

    assert len({hash_name(make_name([(NameOID.COMMON_NAME, each, None)])) for each in spellings}) == 1


def test_every_root_of_certifi_is_laid_out(tmp_path: Path) -> None:
    bundle = Path(certifi.where()).read_bytes()
    (tmp_path / "cacert.pem").write_bytes(bundle)

    lay_out(tmp_path)

    files = sorted((tmp_path / ROOTS_FOLDER).iterdir())
    assert len(files) == bundle.count(b"BEGIN CERTIFICATE") > 50
    context, single = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=certifi.where())
    for file in files:
        single.load_verify_locations(cafile=file)
    assert sorted(context.get_ca_certs(binary_form=True)) == sorted(single.get_ca_certs(binary_form=True))
