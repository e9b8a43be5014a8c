"""The words of well-known licences, for builder.describe.licences: short ones in full, long ones by their digest.

`<N>`: a name of at most N words. `[a|b]`: one of these or nothing. A `sha256:` is that of the words of the text
without its appendix. Source: the texts of the SPDX licence list 3.27.
"""

from typing import Final

_GRANT: Final = """permission is hereby granted free of charge to any person obtaining a copy of this software and
associated documentation files the software to deal in the software without restriction including without limitation
the rights to use copy modify merge publish distribute sublicense and or sell copies of the software and to permit
persons to whom the software is furnished to do so subject to the following conditions the above copyright notice and
this permission notice shall be included in all copies or substantial portions of the software"""
_AS_IS: Final = """the software is provided as is without warranty of any kind express or implied including but not
limited to the warranties of merchantability fitness for a particular purpose and noninfringement in no event shall
<6> be liable for any claim damages or
other liability whether in an action of contract tort or otherwise arising from out of or in connection with the
software or the use or other dealings in the software"""
_REDISTRIBUTE: Final = """redistribution and use in source and binary forms with or without modification are permitted
provided that the following conditions are met [1] redistributions of source code must retain the above copyright
notice this list of conditions and the following disclaimer [2] redistributions in binary form must reproduce the above
copyright notice this list of conditions and the following disclaimer in the documentation and or other materials
provided with the distribution"""
_DISCLAIMER: Final = """this software is provided by <8> as is and any express
or implied warranties including but not limited to the implied warranties of merchantability and fitness for a
particular purpose are disclaimed in no event shall <8> be
liable for any direct indirect incidental special exemplary or consequential damages including but not limited to
procurement of substitute goods or services loss of use data or profits or business interruption however caused and on
any theory of liability whether in contract strict liability or tort including negligence or otherwise arising in any
way out of the use of this software even if advised of the possibility of such damage"""
_NO_NAME: Final = """[3] neither [the] [name of|names of] <10> nor the names of [its|their|any|his|other]
contributors may be used to endorse or promote products derived from this software without specific prior written
permission"""

BODIES: Final = {
    "MIT": (f"{_GRANT} {_AS_IS}",),
    "BSD-3-Clause": (f"{_REDISTRIBUTE} {_NO_NAME} {_DISCLAIMER}",),
    "BSD-2-Clause": (f"{_REDISTRIBUTE} {_DISCLAIMER}",),
    "ISC": (
        """permission to use copy modify and [or] distribute this software for any purpose with or without fee is
        hereby granted provided that the above copyright notice and this permission notice appear in all copies the
        software is provided as is and <4> disclaims all warranties with regard to this software including
        all implied warranties of merchantability and fitness in no event shall <4> be liable for any
        special direct indirect or consequential damages or any damages whatsoever resulting from loss of use data or
        profits whether in an action of contract negligence or other tortious action arising out of or in connection
        with the use or performance of this software""",
    ),
    "Apache-2.0": (
        "sha256:f45538b138cf9aea39fa205de037a0bede8305e68281650e7ab809a8b3ebb2f0",
        # without letters before the items of section 4
        "sha256:296a35b4f3b6a7e90a68c08362fc50009807cd0dfd4f78f36f4062bd4d202555",
        # without its last line
        "sha256:37599287c15c2f2ec060c3c3b55bdf69e3bc7a8aeeb9cd57e18800088789538a",
    ),
    "MPL-2.0": ("sha256:f82071285728ca3ec7685ee9bc4acdae0b8267142a4d20b8f1805eabedb4a98a",),
    "CC-BY-SA-4.0": ("sha256:834532c6bcb0e5a43b005f58a0928846693ea027e38b3b47fc51acd80aeb4fdf",),
}
HEADINGS: Final = (
    *("the mit license mit", "the mit license", "mit license", "mit license expat", "mit", "license"),
    *("expat", "isc license", "the isc license", "bsd 2 clause license", "bsd 3 clause license", "the bsd license"),
    *("the bsd 3 clause license", "the bsd 2 clause license", "simplified bsd license", "new bsd license"),
)
_APACHE_NOTICE: Final = """licensed under the apache license version 2 0 the license you may not use this file except in
compliance with the license you may obtain a copy of the license at http www apache org licenses license 2 0 unless
required by applicable law or agreed to in writing software distributed under the license is distributed on an as is
basis without warranties or conditions of any kind either express or implied see the license for the specific language
governing permissions and limitations under the license"""
_APACHE_APPENDIX: Final = """appendix how to apply the apache license to your work to apply the apache license to your
work attach the following boilerplate notice with the fields enclosed by brackets replaced with your own identifying
information don t include the brackets the text should be enclosed in the appropriate comment syntax for the file format
we also recommend that a file or class name and description of purpose be included on the same printed page as the
copyright notice for easier identification within third party archives"""
NOTICES: Final = tuple(" ".join(text.split()) for text in (_APACHE_NOTICE, _APACHE_APPENDIX))
# Read by people: digest of all words of a text -> what it says, and where it was found.
READ: Final = {
    # sigs.k8s.io/json
    "81d1aeb2a6c73e5309624f1ba77f20eba44cacb875cb5d82a84d8a5a4f20024d": "Apache-2.0 AND BSD-3-Clause",
    # klauspost/compress
    "ff93da6e29b4d9642c795dc562ddf43205fd4d1eebc1e42d1784f93c17725da0": "Apache-2.0 AND BSD-3-Clause AND MIT",
    # yaml.v2: LICENSE.libyaml
    "af3d38a774a9d3be249308bbdee50530770fbc1c7b9eabcbcf89148c74849679": "MIT",
    # cyphar/filepath-securejoin: COPYING.md
    "0c7b91e962f2f612d320686165ef1d7f5d557bfba7a0e15887a47cd903f4c7dd": "BSD-3-Clause AND MPL-2.0",
    # ghodss/yaml
    "acc99d1e332bc70804fc1996e5c7fc38936012aaf6a43c8f01a0a713c7892c7a": "BSD-3-Clause AND MIT",
    # google/cel-go
    "26404720995b86d794593a780acd3bd842c8e75a868287abd50d77014fb6b0c6": "Apache-2.0 AND BSD-3-Clause",
    # go.opentelemetry.io/otel
    "f0f04b7786d5e0dc63e89d64e906b3f3e18e70f9bc93028a53ca7d5b88957fe2": "Apache-2.0 AND BSD-3-Clause",
    # yaml.v3
    "1083d3dcf348b5437bd8e7e1037901d706b4806df88f9025cda3386560b4e10b": "Apache-2.0 AND MIT",
    # sigs.k8s.io/yaml
    "a05d9969537ee3eeb5351f45d0a85213b6b0cd147ddbd72e62114cefc037f064": "Apache-2.0 AND BSD-3-Clause AND MIT",
    # dd-trace-go
    "0cdad5650f75c127fe69ad62298152e50cc923c36ddc4b50ce5ff214075df6cb": "Apache-2.0 OR BSD-3-Clause",
    # Masterminds/squirrel
    "65f32d23f2961a87a4a4b3625cb090eae732884800fd94f6e3c82123be4f72e5": "MIT",
    # Masterminds/vcs
    "0a7c75ca9f341ee3ab2eb637552172c6071b9ded59841321060622a2a8a3285b": "MIT",
    # bgentry/speakeasy: all but its Windows part
    "d945eb846fbebd0f19dcafddcd28e73e696c07f1cd6153b30e2aaa91519fa99b": "MIT",
    # dustin/go-humanize
    "e031e289a8e5e80cb8eb4787700da718f485c98d0d189044a52cd8919e5f3947": "MIT",
    # gogo/protobuf
    "527f5a4b862d1ecf63695d2a3bb827fc9d6cdb5fbde11af5543d7b1a1394ee03": "BSD-3-Clause",
    # pelletier/go-toml
    "798593443db66247910f346c624e8b2a55be9ab8b42a9af0f7dbd98eccc8e970": "Apache-2.0 AND MIT",
    # russross/blackfriday
    "9b8020bfb1ec89fd0a68fdc9a1e1fdb31729f69789d7d61fe791fc8fdb329917": "BSD-2-Clause",
    # shirou/gopsutil
    "88918ff55833c29fc7d394bca39ef08973c1ffeb7dd7014c6d782edcf16c8340": "BSD-3-Clause",
    # shopspring/decimal
    "e089174a4d24012e3d35fdb20970edd8efffc55543893b1920ba7f3ce841fa40": "MIT",
    # inf.v0
    "13b601762540e3a8baf273ff9e637713d55c888a224a986c2276bf7cff907b85": "BSD-3-Clause",
}
