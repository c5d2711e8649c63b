"""
The states as text: what Salt would refuse when it puts those of several roles together. Rendered and run they are by the tests of the workspace.
"""

import itertools
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_firn

# Its states are those of the backup server, which it includes, and more.
STATES = {role: os.path.join(test_firn.TOP, "firn", role + ".sls") for role in test_firn.firn.ROLES}
# What stands at the start of a line and ends in a colon; of the names in a loop, what is not computed.
ID = re.compile(r"^(?![ #{%-])(\S+):$", re.MULTILINE)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Roles(unittest.TestCase):
    def test_no_two_roles_declare_one_id_so_a_machine_may_have_both(self):
        declared = {role: [name for name in ID.findall(read(path)) if name != "include"] for role, path in STATES.items()}
        for role, names in declared.items():
            self.assertGreaterEqual(len(names), 2, role)
        for one, other in itertools.combinations(declared, 2):
            self.assertEqual(set(declared[one]) & set(declared[other]), set(), (one, other))

    def test_a_machine_without_a_role_has_a_state_all_the_same(self):
        text = read(os.path.join(test_firn.TOP, "firn", "init.sls"))
        self.assertRegex(text.split("{% else %}")[1], r"\nfirn_has_no_role_here:\n  test.nop: \[\]\n{% endif %}\n$")


if __name__ == "__main__":
    unittest.main()
