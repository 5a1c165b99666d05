"""A private CA, and certificates that it, or another one, or time, has spoiled."""

import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment"),
    *("data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"),
    *("encipher_only", "decipher_only"),
)
_DAY = datetime.timedelta(days=1)


class Authority:
    """Issues certificates into a directory."""

    def __init__(self, directory, name="ca"):
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key.public_key(), days=30)
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
        usage = x509.KeyUsage(
            False, False, False, False, False, True, True, False, False
        )
        builder = builder.add_extension(usage, True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.path = directory / f"{name}.pem"
        self.path.write_bytes(
            self._certificate.public_bytes(serialization.Encoding.PEM)
        )

    def issue(self, name, days=30):
        """A file with key and certificate for `name`, and for this machine."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key.public_key(), days)
        names = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
        if name == "server":
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        made = builder.sign(self._key, hashes.SHA256())
        path = self.directory / f"{name}-{days}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
        return path

    def client(self, certificate=None):
        """A TLS context that trusts this authority and shows a certificate."""
        context = ssl.create_default_context(cafile=str(self.path))
        if certificate is not None:
            context.load_cert_chain(str(certificate))
        return context

    def _builder(self, subject, key, days):
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject)
        builder = builder.issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self._key.public_key()
        )
        builder = builder.add_extension(identifier, False)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key), False
        )
        builder = builder.not_valid_before(now - 60 * _DAY)
        return builder.not_valid_after(now + days * _DAY)
