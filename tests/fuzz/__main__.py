"""``python -m tests.fuzz NAME [options of libFuzzer]``: one harness as long as one likes, led by coverage (atheris).

Without NAME it lists the harnesses. An input that fails is written into ``tests/fuzz/corpus/NAME``, where the suite
tries it from then on.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

PACKAGES = ["nat_plugin", "nat_darts", "nat_enas", "nat_nasbench", "nat_nni", "nat_ofa", "nat_timm"]


def main() -> None:
    try:
        import atheris
    except ImportError as error:
        sys.exit(f"{error}: pip install 'nat-plugin[fuzz]'")
    with atheris.instrument_imports(include=PACKAGES):
        from tests.fuzz.harnesses import CORPUS, corpus, harnesses
        from tests.fuzz.mutating import near
    if len(sys.argv) < 2 or sys.argv[1] not in harnesses():
        sys.exit("\n".join(harnesses()))
    name, *options = sys.argv[1:]
    harness = harnesses()[name]
    examples = harness.examples()

    def one(instructions: bytes) -> None:
        data = near(instructions, examples, harness.text)
        try:
            harness.check(data)
        except BaseException:
            (CORPUS / name).mkdir(parents=True, exist_ok=True)
            path = CORPUS / name / hashlib.sha256(data).hexdigest()[:16]
            path.write_bytes(data)
            print(f"\n{path}: {data[:200]!r}", file=sys.stderr)
            raise

    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate([*examples, *(path.read_bytes() for path in corpus(name))]):
            (Path(folder) / str(number)).write_bytes(b"\0" + data)
            (Path(folder) / f"near-{number}").write_bytes(bytes([8 * number % 256 | 1]) + bytes(5))
        atheris.Setup(
            [
                "fuzz",
                "-max_len=20000",
                "-rss_limit_mb=3000",
                "-timeout=300",
                f"-artifact_prefix={folder}/",
                *options,
                folder,
            ],
            one,
        )
        atheris.Fuzz()


main()
