"""Makes keys.json: keys, certificates and signatures by another implementation than ours (OpenSSL), for tests only.

Run once; running it again makes new keys and changes nothing else. Needs Python's `cryptography`.
"""

import base64
import datetime
import json
import pathlib
import subprocess
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

MESSAGE = b"what was signed"
NAME = "messageverificationcerts.example.com"
PAYPAL = "messageverificationcerts.paypal.com"
OUT = {"message": MESSAGE.decode(), "keys": {}, "public": {}, "signatures": {}, "tokens": {}, "certificates": {}}


def pem(key, form=serialization.PrivateFormat.PKCS8):
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public(key, form=serialization.PublicFormat.SubjectPublicKeyInfo):
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def b64(data):
    return base64.b64encode(data).decode()


def time(year):
    return datetime.datetime(year, 1, 1)


rsa2048, rsa1024, other = (rsa.generate_private_key(65537, bits) for bits in (2048, 1024, 2048))
p256, p384, ed = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()

for name, key in {"rsa": rsa2048, "rsa1024": rsa1024, "p256": p256, "p384": p384, "ed25519": ed}.items():
    OUT["keys"][name] = pem(key)
    OUT["public"][name] = public(key)
OUT["keys"]["rsa_pkcs1"] = pem(rsa2048, serialization.PrivateFormat.TraditionalOpenSSL)
OUT["public"]["rsa_pkcs1"] = public(rsa2048, serialization.PublicFormat.PKCS1)



def url64(number, length):
    return base64.urlsafe_b64encode(number.to_bytes(length, "big")).decode().rstrip("=")


def rsa_jwk(key):
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "n": url64(numbers.n, key.key_size // 8), "e": url64(numbers.e, 3)}


def ec_jwk(key, curve):
    numbers, length = key.public_key().public_numbers(), key.key_size // 8
    return {"kty": "EC", "crv": curve, "x": url64(numbers.x, length), "y": url64(numbers.y, length)}


raw = ed.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
OUT["jwk"] = {
    "rsa": rsa_jwk(rsa2048),
    "rsa1024": rsa_jwk(rsa1024),
    "p256": ec_jwk(p256, "P-256"),
    "p384": ec_jwk(p384, "P-384"),
    "ed25519": {"kty": "OKP", "crv": "Ed25519", "x": url64(int.from_bytes(raw, "big"), 32)},
}

for name, key in {"rsa": rsa2048, "rsa1024": rsa1024}.items():
    for hash_ in (hashes.SHA1(), hashes.SHA256(), hashes.SHA512()):
        OUT["signatures"][f"{name}_{hash_.name}"] = b64(key.sign(MESSAGE, padding.PKCS1v15(), hash_))
OUT["signatures"]["p256"] = b64(p256.sign(MESSAGE, ec.ECDSA(hashes.SHA256())))
OUT["signatures"]["p384"] = b64(p384.sign(MESSAGE, ec.ECDSA(hashes.SHA256())))
OUT["signatures"]["ed25519"] = b64(ed.sign(MESSAGE))


def token(alg, kid, sign):
    parts = ({"alg": alg, "kid": kid, "typ": "JWT"}, {"sub": alg, "exp": 4102444800})
    text = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{text}." + base64.urlsafe_b64encode(sign(text.encode())).decode().rstrip("=")


def sign_p256(text):
    return b"".join(n.to_bytes(32, "big") for n in decode_dss_signature(p256.sign(text, ec.ECDSA(hashes.SHA256()))))


OUT["tokens"]["RS256"] = token("RS256", "r", lambda text: rsa2048.sign(text, padding.PKCS1v15(), hashes.SHA256()))
OUT["tokens"]["ES256"] = token("ES256", "p", sign_p256)


def certificate(key, issuer=None, cn=NAME, san=(NAME,), years=(2025, 2125), ca=False, usage=(ExtendedKeyUsageOID.SERVER_AUTH,)):
    """`issuer` is (certificate, key); None: self-signed."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in ([cn] if isinstance(cn, str) else cn)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(time(years[0]))
        .not_valid_after(time(years[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in san]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())


root_key, mid_key, far_key = (rsa.generate_private_key(65537, 2048) for _ in range(3))
root = certificate(root_key, cn="Test root", san=(), ca=True, usage=())
mid = (certificate(mid_key, (root, root_key), cn="Test intermediate", san=(), ca=True, usage=()), mid_key)
far = certificate(far_key, cn="Another root", san=(), ca=True, usage=())
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
certificates = {
    "root": root,
    "intermediate": mid[0],
    "good": certificate(rsa2048, mid),
    "paypal": certificate(rsa2048, mid, cn=PAYPAL, san=(PAYPAL,)),
    "good_client_too": certificate(rsa2048, mid, usage=(ExtendedKeyUsageOID.SERVER_AUTH, CLIENT)),
    "good_p256": certificate(p256, mid),
    "name_in_cn_only": certificate(rsa2048, mid, san=()),
    "name_in_san_only": certificate(rsa2048, mid, cn="PayPal"),
    "name_in_upper_case": certificate(rsa2048, mid, cn=NAME.upper(), san=(NAME.upper(),)),
    "san_says_otherwise": certificate(rsa2048, mid, san=("www.example.com",)),
    "other_name": certificate(rsa2048, mid, cn="www.example.com", san=("www.example.com",)),
    "name_as_prefix": certificate(rsa2048, mid, cn=NAME + ".evil.net", san=(NAME + ".evil.net",)),
    "name_as_suffix": certificate(rsa2048, mid, cn="evil" + NAME, san=("evil" + NAME,)),
    "wildcard": certificate(rsa2048, mid, cn="*.example.com", san=("*.example.com",)),
    "two_names_in_cn": certificate(rsa2048, mid, cn=("www.example.com", NAME), san=()),
    "expired": certificate(rsa2048, mid, years=(2025, 2026)),
    "not_yet": certificate(rsa2048, mid, years=(2100, 2125)),
    "client_only": certificate(rsa2048, mid, usage=(CLIENT,)),
    "no_usage": certificate(rsa2048, mid, usage=()),
    "authority": certificate(rsa2048, mid, ca=True),
    "issued_by_a_leaf": certificate(rsa2048, (certificate(other, mid), other)),
    "foreign": certificate(rsa2048, (far, far_key)),
    "self_signed": certificate(rsa2048),
    "small_key": certificate(rsa1024, mid),
    "p384_key": certificate(p384, mid),
}
for name, cert in certificates.items():
    OUT["certificates"][name] = cert.public_bytes(serialization.Encoding.PEM).decode()

with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder)
    (path / "key.pem").write_text(pem(rsa2048))
    request = ["openssl", "req", "-new", "-key", path / "key.pem", "-subj", f"/CN={NAME}", "-out", path / "csr.pem"]
    sign = ["openssl", "x509", "-req", "-in", path / "csr.pem", "-signkey", path / "key.pem", "-days", "36500"]
    subprocess.run(request, check=True)
    OUT["certificates"]["version_1"] = subprocess.run(sign, check=True, capture_output=True, text=True).stdout

target = pathlib.Path(__file__).with_name("keys.json")
target.write_text(json.dumps(OUT, indent=1) + "\n")
