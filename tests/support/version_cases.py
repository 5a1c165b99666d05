"""Versions and their order, as the package systems' own tests and manuals have them.

Cases are written as chains: `<` and `=` stand between neighbours.
"""

DPKG = """
0 = 0-0 = 0:0-0 = 0-00 = 00-0
0:0.0-0.0 < 1:0 < 5:1
0-0-0 < 0-0-0-0
1:2-3 < 2:1-1
1-1 < 1-2 < 2-1
0a-0 < 0b-0
0-a < 0-b
1.0~~ < 1.0~~a < 1.0~ < 1.0 < 1.0a < 1.0+
1.2.3-1 < 1.2.3-1+b1 < 1.2.3-1+deb12u1 < 1.2.3-1.1 < 1.2.3-2
1.2.3~rc1-1 < 1.2.3-1~bpo11+1 < 1.2.3-1
9 < 10 < 10.0 < 10.0.1 < 10.1
1:9.2p1-2+deb12u2 < 1:9.2p1-2+deb12u3 < 1:9.2p1-2+deb12u10
0.9 < 0.9a < 0.9ab < 0.9b
20240101 < 1:1
"""
"""dpkg: lib/dpkg/t/t-version.c (parsing, equality) and Debian policy 5.6.12 (`~`)."""

RPM = """
1.0 < 2.0
2.0 < 2.0.1 < 2.0.1a
5.5p1 < 5.5p2 < 5.5p10 < 5.6p1 < 6.5p1
10xyz < 10.1xyz
xyz10 < xyz10.1
xyz.4 < 2 < 8
6.0 < 6.0.rc1
10a1 < 10a2 < 10b2
1.0a < 1.0aa
10.0001 = 10.1
10.0001 < 10.0039
4.999.9 < 5.0
20101121 < 20101122
2_0 = 2.0
a = a+ = a_ = +a = _a
+ = _ = +_ = _+
1.0~rc1~git123 < 1.0~rc1 < 1.0~rc2 < 1.0
1.0 < 1.0^ < 1.0^git1 < 1.0^git2 < 1.01
1.0^20160101 < 1.0^20160101^git1 < 1.0^20160102 < 1.0.1
1.0~rc1 < 1.0~rc1^git1 < 1.0
1.0 < 1.0^git1~pre < 1.0^git1
1.1.é = 1.1.ß = 1.1.éé
1b.fc17 < 1.fc17 < 1g.fc17
5.2-1 < 5.2-2 < 0:5.3-1 < 1:1.0-1
"""
"""rpm: tests/rpmvercmp.at, its oddities too; the last line: rpm-version(7)."""

PACMAN = """
1.5 < 1.5.0 < 1.5.1
1.5.0-1 < 1.5.0-2 < 1.5.1-1
1.5-1 < 1.5-2 < 1.5.1-1 < 1.5.1-2
1.5 = 1.5-1
1.1 = 1.1-1
1.0-1 < 1.1 < 1.2-1
1.5b-1 < 1.5-1 < 1.5.1
1.0a < 1.0alpha < 1.0b < 1.0beta < 1.0rc < 1.0
1.5b < 1.5 < 1.5.a < 1.5.b < 1.5.1
1.5.b-1 = 1.5.b
1.5-1 < 1.5.b
2.0 < 1:1.0 < 1:1.1 < 2:1.0
1.0. < 1.0..1
"""
"""pacman: test/util/vercmptest.sh and vercmp(8)."""

APK = """
0.1.0_alpha < 0.1.0_alpha2 < 0.1.3_alpha < 2.2.39-r1
1.1_alpha1 < 1.1 < 1.2 < 1.2.1
1.3_alpha < 1.3_alpha2 < 1.3_alpha8 < 1.3
0.8_beta1 < 0.8_beta2 < 0.8_beta4 < 0.8_pre1 < 0.8_rc1 < 0.8
2.3.0b-r1 < 2.3.0b-r4 < 2.3.0c
0.12 < 0.12.3 < 0.13_beta1 < 0.13
1.0.0 < 1.06-r6 < 006
3.1 < 3.1_p16 < 3.1_p17
1.0_p9-r0 < 1.0_p10-r0
9.3.4 < 9.3.4-r2 < 9.3.4.1
0.98 < 1.00 < 1.00.1
1.02 < 1.02.07 < 1.02.10-r1 < 1.03-r1 < 1.05 < 1.1
1.3-r0 < 1.3.1-r0
1.3_pre1-r1 < 1.3.2
0.1.0_alpha_pre2 < 0.1.0_alpha
1.0.0_pre20191002222144-r0 < 1.0.0_pre20210530193627-r0
6.0_pre1 < 6.0 < 6.0_p1
4.5_p1 < 4.5_p1-r1
5.1_p4 < 5.1_p4-r9 < 5.1_p4-r10
4_beta < 23_foo
2.5.1-r8 < 2.5.1a-r1
1.0 < 1.0bc
6b-r7 < 7
1.0_cvs < 1.0_svn < 1.0_git < 1.0_hg < 1.0_p
1.2.3_git20240101~ab12-r0 < 1.2.3_git20240101~ab13-r0
"""
"""apk: test/version.data; the last two lines: the order of parts in apk-package(5)."""


CHAINS = {"dpkg": DPKG, "rpm": RPM, "pacman": PACMAN, "apk": APK}


def pairs(family):
    """Every two neighbours of a chain, and how they compare."""
    for line in CHAINS[family].strip().splitlines():
        words = line.split(" ")
        for at in range(0, len(words) - 2, 2):
            left, sign, right = words[at : at + 3]
            yield left, right, {"=": 0, "<": -1}[sign]
