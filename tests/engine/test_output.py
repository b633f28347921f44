"""Cleaning output: no secret, no control character, no flood gets through, and ordinary text stays as it is."""

from __future__ import annotations

import base64
import json
import sys
import unicodedata
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.output import HIDDEN, clean, redact

LIMIT = 16_384
CANARY = 'Zq7+cAn ary"/9xK=='
KEY_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 4
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXZhbHVl"


def cleaned(text: str, *secrets: str) -> str:
    return clean(text.encode("utf-8"), limit_bytes=LIMIT, secrets=secrets)[0]


#: (text, the part that must not be seen)
SECRETS = [
    ("Authorization: Bearer abc123def456ghi", "abc123def456ghi"),
    ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ('{"Authorization": "Bearer abc123def456ghi"}', "abc123def456ghi"),
    ("Proxy-Authorization: Digest username=x, response=5ccc", "5ccc"),
    ("curl -H 'Authorization: token 0a1b2c3d4e5f6a7b8c9d'", "0a1b2c3d4e5f6a7b8c9d"),
    ("sent bearer 0a1b2c3d4e5f6a7b8c9d on", "0a1b2c3d4e5f6a7b8c9d"),
    ("Cookie: session=abcdef; other=1", "abcdef"),
    ("Set-Cookie: sid=31d4d96e407aad42; Path=/", "31d4d96e407aad42"),
    ("X-Api-Key: 3f2a9c8b7d6e5f4a", "3f2a9c8b7d6e5f4a"),
    ("X-Vault-Token: hvs.CAESIJ2Example", "hvs.CAESIJ2Example"),
    ('{"password": "hunter2"}', "hunter2"),
    ('{"password":"hun\\"ter2 and more"}', "ter2 and more"),
    ('"{\\"password\\": \\"hunter2\\"}"', "hunter2"),
    ("{'client_secret': 'hunter2'}", "hunter2"),
    ('{"clientSecret" : "hunter2"}', "hunter2"),
    ('{"adminPassword":"hunter2"}', "hunter2"),
    ("password=hunter2", "hunter2"),
    ("PGPASSWORD=hunter2 psql", "hunter2"),
    ('export DB_PASSWORD="hunter 2"', "hunter 2"),
    ("spring.datasource.password=hunter2", "hunter2"),
    ("MYSQL_ROOT_PASSWORD='hunter2'", "hunter2"),
    ("api_key = hunter2", "hunter2"),
    ("apikey: hunter2", "hunter2"),
    ("password: correcthorse\n", "correcthorse"),
    ("db_password: hunter2!", "hunter2!"),
    ("secret => 'hunter2'", "hunter2"),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    ("aws_session_token = FwoGZXIvYXdzEBYaDExample", "FwoGZXIvYXdzEBYaDExample"),
    ("key id AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
    ("key id ASIAIOSFODNN7EXAMPLE used", "ASIAIOSFODNN7EXAMPLE"),
    ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abc+/123==;EndpointSuffix=x", "abc+/123"),
    ("Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=abc+/123=", "abc+/123"),
    ("https://a.blob.core.windows.net/c?sv=2024&sig=AbC%2Bd%3D&se=x", "AbC%2Bd%3D"),
    ("Server=tcp:x;User ID=u;Password=hunter2;Encrypt=True", "hunter2"),
    ("Server=x;Pwd=hunter2;", "hunter2"),
    ("Server=x;Password=hunter two;Encrypt=True", "hunter two"),
    ("key " + "A1b2" * 21 + "A1==" + " end", "A1b2A1b2"),
    ("abc8Q~" + "x1Y2" * 8 + "zz", "8Q~x1Y2"),
    ("redis " + "a" * 33 + "AzCaBBBBB=", "AzCaBBBBB"),
    ("postgres://user:hunter2@db/app", "hunter2"),
    ("postgresql+psycopg://user:p@ss2@db/app", "p@ss2"),
    ("redis://:hunter2@cache:6379/0", "hunter2"),
    ("https://user:hunter2@git.example/x.git", "hunter2"),
    ("mongodb+srv://u:hunter2@c.example/?x=1", "hunter2"),
    ("amqp://guest:hunter2@mq", "hunter2"),
    ("https://x.example/cb?code=abcd1234&state=1", "abcd1234"),
    ("https://x.example/?access_token=abcd1234", "abcd1234"),
    ("ghp_" + "a1B2" * 9, "ghp_a1B2"),
    ("github_pat_" + "a1B2_" * 8, "github_pat_a1"),
    ("glpat-" + "a1B2" * 5, "glpat-a1B2"),
    ("xox" + "b-123456789012-abcdefGHIJKL", "123456789012"),
    ("xapp" + "-1-A123-456-abcdef", "A123-456"),
    ("https://hooks.slack.com/" + "services/T000/B000/XXXX", "T000/B000"),
    ("sk_live_" + "a1B2" * 6, "sk_live_a1"),
    ("sk-" + "a1B2" * 8, "sk-a1B2"),
    ("AIza" + "a1B2c" * 7, "AIzaa1B2c"),
    ("npm_" + "a1B2" * 9, "npm_a1B2"),
    ("pypi-" + "AgEIcHlwaS5vcmc" * 4, "AgEIcHlwaS5vcmc"),
    (f"token {JWT} end", "c2lnbmF0dXJlLXZhbHVl"),
    (f"-----BEGIN PRIVATE KEY-----\n{KEY_BODY}\n-----END PRIVATE KEY-----", KEY_BODY[:20]),
    (
        f"-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES-128-CBC,AB\n\n{KEY_BODY}\n-----END RSA PRIVATE KEY-----",
        KEY_BODY,
    ),
    (f"-----BEGIN OPENSSH PRIVATE KEY-----\\n{KEY_BODY}\\n-----END OPENSSH PRIVATE KEY-----", KEY_BODY[:20]),
    (f"log line:\n{KEY_BODY}\n{KEY_BODY}\n-----END RSA PRIVATE KEY-----\n", KEY_BODY[:20]),
    ("login --password hunter2 --verbose", "hunter2"),
    ("az login --client-secret hunter2", "hunter2"),
    ("mysql -u root -phunter2 app", "hunter2"),
    ("sshpass -p hunter2 ssh x", "hunter2"),
    ("curl -u admin:hunter2 http://x", "hunter2"),
    ("<password>hunter2</password>", "hunter2"),
    ("<connectionString>hunter2</connectionString><adminPassword>hunter2</adminPassword>", "<adminPassword>hunter2"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_what_has_the_shape_of_a_secret_is_hidden(text: str, secret: str) -> None:
    seen = cleaned(f"before\n{text}\nafter")

    assert secret not in seen
    assert HIDDEN in seen
    assert seen.startswith("before\n")
    assert seen.endswith("after")


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_colours_and_zero_bytes_do_not_carry_a_secret_past_its_pattern(text: str, secret: str) -> None:
    coloured = "".join(f"{character}\x1b[0m\0" for character in text).encode()

    seen, _ = clean(coloured, limit_bytes=LIMIT)

    assert secret not in seen


def encodings(secret: str) -> list[str]:
    data = secret.encode()
    plain = [secret, quote(secret), quote(secret, safe=""), quote_plus(secret), data.hex(), data.hex().upper()]
    return [*plain, json.dumps(secret)[1:-1]]


@pytest.mark.parametrize("form", sorted(set(encodings(CANARY))))
def test_a_known_secret_is_hidden_in_every_usual_encoding(form: str) -> None:
    assert form not in cleaned(f"x {form} y", CANARY)


@given(before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_a_known_secret_is_hidden_inside_longer_base64(before: bytes, after: bytes) -> None:
    whole = base64.b64encode(before + CANARY.encode() + after).decode()

    seen = cleaned(f"blob {whole}", CANARY)

    around = len(base64.b64encode(before)) + len(base64.b64encode(after))
    assert HIDDEN in seen
    assert len(seen) <= len("blob ") + len(HIDDEN) + around + 4  # nothing but what stood around it


def test_a_private_key_whose_end_was_cut_off_is_hidden_to_the_end() -> None:
    assert cleaned(f"key:\n-----BEGIN EC PRIVATE KEY-----\n{KEY_BODY}\n{KEY_BODY}") == f"key:\n{HIDDEN}"


def test_a_short_known_value_does_not_eat_ordinary_text() -> None:
    assert cleaned("data and database", "data") == "data and database"


@pytest.mark.parametrize("start", range(64))
def test_no_cut_leaves_half_of_a_secret(start: int) -> None:
    raw = ("x" * (1000 + start) + " password=" + "S3cr3tS3cr3t" * 5 + " " + "y" * 2000).encode()

    seen, cut = clean(raw, limit_bytes=1600 + 3 * start)

    assert cut
    assert "S3cr" not in seen


@pytest.mark.parametrize("edge", [512, 1024, 4096, 8192, 32768, 65536])
def test_secret_is_hidden_wherever_it_stands(edge: int) -> None:
    """Whoever searches piece by piece finds neither half of a secret that lies across an edge."""
    value = "S3cr3tS3cr3t"
    for start in range(edge - len(f" password={value}"), edge + 1):
        raw = f"{'x' * start} password={value} {'y' * 100}".encode()

        seen, cut = clean(raw, limit_bytes=256 * 1024)

        assert not cut
        assert "S3cr" not in seen
        assert "r3t" not in seen


@pytest.mark.parametrize("offset", range(-40, 41, 8))
def test_the_cut_through_a_flood_leaves_no_half_secret_either(offset: int) -> None:
    window = 900 + 2 * 65536
    secret = b" password=" + b"S3cr3t" * 10
    raw = b"x" * (window + offset) + secret + b"y" * 1_000_000 + secret + b"z" * (window + offset)

    seen, cut = clean(raw, limit_bytes=900)

    assert cut
    assert "S3cr" not in seen


def test_a_cut_through_a_flood_of_colours_leaves_no_half_of_a_known_secret() -> None:
    window = 900 + 2 * 65536
    secret = b"plainvaluewithoutanyshape"
    colours = b"\x1b[0m" * ((window - 12) // 4)
    raw = colours + secret + b"y" * 1_000_000 + secret + colours

    seen, cut = clean(raw, limit_bytes=900, secrets=(secret.decode(),))

    assert cut
    assert "plainvalue" not in seen
    assert "anyshape" not in seen


def test_a_flood_keeps_its_head_and_tail_and_says_how_much_is_missing() -> None:
    seen, cut = clean(b"head " + b"." * 5_000_000 + b" tail", limit_bytes=3000)

    assert cut
    assert seen.startswith("head ")
    assert seen.endswith(" tail")
    assert "[… 4997010 bytes left out …]" in seen


@given(st.binary(max_size=3000), st.integers(30, 2000))
def test_any_bytes_become_text_within_the_limit(raw: bytes, limit: int) -> None:
    seen, cut = clean(raw, limit_bytes=limit)

    assert len(seen.encode("utf-8")) <= limit + (60 if cut else 0)
    assert ("bytes left out" in seen) or not cut


INVISIBLE = [
    chr(n) for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n)) in ("Cf", "Cc", "Zl", "Zp", "Co")
]


def test_nothing_invisible_is_left_but_newline_and_tab() -> None:
    everything = "".join(f"a{character}" for character in INVISIBLE)

    seen, _ = clean(everything.encode("utf-8"), limit_bytes=10**8)

    assert {character for character in seen if unicodedata.category(character)[0] == "C"} <= {"\n", "\t"}
    assert not set(seen) & set("\u2028\u2029\u202e\u200b")


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click"),
        (b"\x1b[2J\x1b[Hclear", "clear"),
        (b"10%\r20%\r\n", "10%\n20%\n"),
        (b"safe\rrm -rf", "safe\nrm -rf"),
        (b"a\x08b", "a\\x08b"),
        (b"bell\x07", "bell\\x07"),
        (b"nul\x00l", "null"),
        (b"\xff\xfeo\x00k\x00", "ok"),
        (b"\xef\xbb\xbfok", "ok"),
        (b"bad \xff utf", "bad \ufffd utf"),
        ("a\u202eb".encode(), "a\\u{202e}b"),
        ("a\u2066b".encode(), "a\\u{2066}b"),
        ("a\U000e0041b".encode(), "a\\u{e0041}b"),
        ("a\x9b31mb".encode(), "ab"),
        ("Grüße, 日本語 🚀\n\tok".encode(), "Grüße, 日本語 🚀\n\tok"),
    ],
)
def test_controls_are_removed_or_written_as_escapes(raw: bytes, seen: str) -> None:
    assert clean(raw, limit_bytes=LIMIT) == (seen, False)


BENIGN = """\
 10:14:02 up 12 days,  3:41,  2 users,  load average: 0.08, 0.03, 0.01
active
nginx.service - A high performance web server and a reverse proxy server
   Loaded: loaded (/lib/systemd/system/nginx.service; enabled; vendor preset: enabled)
Main PID: 812 (nginx) tasks: 3 memory: 12.4M
/dev/sda1       30G   29G  0.9G  97% /var
errors 0, warnings 2, limit: none, passed=12, bypass=true, compass: north
passwd:         files systemd
shadow:         files
PasswordAuthentication no
password expiry information changed.
Enter password:
pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.1  user=root
max_tokens=4096 tokens: 12 tokenizer=bpe
primary key: id
monkey: banana42
-----BEGIN CERTIFICATE-----
MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ
-----END CERTIFICATE-----
commit 3f786850e387550fdab836ed7e6dc881de23001b
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/w
2026-11-21T22:16:00Z GET https://example.com:8443/path?page=2&sort=name 200
root@web-01:~# ls -p /tmp
ssh://git@github.com:22/owner/name.git
{"status": "ok", "keys": 3, "secretName": "tls", "count": 5}
Get-Service : Cannot find any service with service name 'w3svc'.
The bearer of this message, token ring, secret garden.
"""


def test_benign_text_stays_exactly_as_it_was() -> None:
    assert cleaned(BENIGN) == BENIGN


@given(st.text(max_size=300))
def test_redaction_is_stable(text: str) -> None:
    once = redact(text)

    assert redact(once) == once


@pytest.mark.parametrize("cut", range(len(CANARY)))
def test_end_of_a_secret_at_the_beginning_of_a_stream_without_its_head_is_left_out(cut: int):
    secret = "Zq7+cAnary9/xK=="
    raw = f"{secret}{secret}\nnext line\n".encode()[cut:]

    text, _ = clean(raw, limit_bytes=LIMIT, secrets=(secret,), headless=True)

    assert text == "…\nnext line\n"


def test_only_word_of_a_stream_without_its_head_is_left_out():
    assert clean(b"ter2\n", limit_bytes=LIMIT, headless=True)[0] == "… \n"
    assert clean(b"ter2 and more", limit_bytes=LIMIT, headless=True)[0] == "… and more"
