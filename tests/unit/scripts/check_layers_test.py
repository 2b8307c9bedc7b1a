"""scripts/check_layers must find an include against the arrows and a type defined twice, and only that."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "scripts" / "check_layers"


def run(files):
    with tempfile.TemporaryDirectory() as directory:
        for name, text in files.items():
            path = pathlib.Path(directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([SCRIPT, directory], capture_output=True, text=True, timeout=30)


class CheckLayers(unittest.TestCase):
    def test_arrows_down_pass(self):
        result = run({"client/a.cc": '#include "transport/b.h"\n#include <vector>\n', "transport/b.h": '#include "proto/c.h"'})
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_arrows_up_fail_with_the_line(self):
        result = run({"proto/a.cc": '\n#  include "transport/b.h"\n'})
        self.assertEqual(result.returncode, 1)
        self.assertIn("proto/a.cc:2: proto/ must not include transport/b.h", result.stderr)

    def test_client_and_server_do_not_see_each_other(self):
        self.assertEqual(run({"client/a.cc": '#include "server/b.h"'}).returncode, 1)
        self.assertEqual(run({"server/a.cc": '#include "client/b.h"'}).returncode, 1)

    def test_only_the_main_file_of_kd_wires_both(self):
        self.assertEqual(run({"client/kd_main.cc": '#include "server/b.h"'}).returncode, 0)
        self.assertEqual(run({"client/kd/kd_main.cc": '#include "server/b.h"'}).returncode, 0)
        self.assertEqual(run({"client/target/x_main.cc": '#include "server/b.h"'}).returncode, 1)

    def test_nothing_includes_tests(self):
        self.assertEqual(run({"server/a.cc": '#include "tests/support/b.h"'}).returncode, 1)

    def test_ways_around_the_root_fail(self):
        self.assertEqual(run({"proto/a.cc": '#include "../transport/b.h"'}).returncode, 1)

    def test_one_name_for_two_types_fails(self):
        text = "namespace longwire {\nclass Thing final : public Base {\n};\n}  // namespace longwire\n"
        result = run({"client/a.h": text, "server/b.h": text})
        self.assertEqual(result.returncode, 1)
        self.assertIn("client/a.h:2: longwire::Thing is defined in server/b.h:2 too", result.stderr)

    def test_names_of_other_scopes_are_not_repeated_types(self):
        private = "namespace longwire {\nnamespace {\nclass Thing {\n};\n}  // namespace\n}  // namespace longwire\n"
        own = "namespace longwire {\nclass Thing;\nstruct Owner::Thing {\n};\nclass Thing {\n};\n}  // namespace longwire\n"
        other = "namespace longwire::rpc {\nstruct Thing {};\n}  // namespace longwire::rpc\n"
        self.assertEqual(run({"client/a.cc": private, "client/b.h": own}).returncode, 0)
        self.assertEqual(run({"client/a.cc": private, "client/b.h": own, "proto/c.h": other}).returncode, 0)

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(run({}).returncode, 2)


if __name__ == "__main__":
    sys.exit(unittest.main())
