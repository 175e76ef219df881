"""Drivers that compile without their GPU: where they come from, and how a program runs on them.

All of them are Mesa's, as Debian builds it, unpacked into a cache folder and never installed. AMD's driver opens on null hardware by
itself. The others open on stubs of the kernel's interface (drm-shim), which are built from Mesa's source with the C compiler alone: Debian
does not ship them, and Mesa's own build wants LLVM. Each part is optional; where it cannot be had, what needs it is skipped by name.
"""

import dataclasses
import json
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("WGRAD_LAB_CACHE", "~/.cache/wgrad-lab")).expanduser().resolve()
MIRROR = os.environ.get("WGRAD_LAB_MIRROR", "http://deb.debian.org/debian")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = f"{LIBRARIES}/ld-linux-x86-64.so.2"
GLIBC = (2, 41)  # Debian 13's


class Missing(Exception):
    """A part that cannot be had here; says why."""


@dataclasses.dataclass(frozen=True)
class Mesa:
    """A root folder with one version of Mesa and the libraries that it needs."""

    name: str
    suite: str
    packages: tuple

    @property
    def root(self):
        return CACHE / self.name


# Version 25.0's AMD driver has null hardware, which 26.1's has not, and Debian has its source. NVIDIA's and Qualcomm's drivers gain more
# with each version, and the newer lavapipe runs cooperative matrices.
STABLE = Mesa("mesa-stable", "trixie", ("mesa-vulkan-drivers", "libvulkan1", "libvulkan-dev", "libdrm-dev", "python3-mako"))
NEWER = Mesa("mesa-newer", "trixie-backports", ("mesa-vulkan-drivers", "libvulkan1", "libvulkan-dev"))


@dataclasses.dataclass(frozen=True)
class Target:
    """A GPU to compile for."""

    name: str
    assembly: str  # the kind of machine code, a key of machine_code.KINDS
    mesa: Mesa
    driver: str  # of icd.d
    shim: str | None
    environment: dict


TARGETS = {
    target.name: target
    for target in [
        *(Target(name, "amd", STABLE, "radeon", None, {"RADV_FORCE_FAMILY": name}) for name in ("navi21", "navi31", "vega10", "polaris10")),
        *(Target(name, "intel", STABLE, "intel", "intel", {"INTEL_STUB_GPU_PLATFORM": name}) for name in ("dg2", "tgl")),
        *(
            Target(name, "nvidia", NEWER, "nouveau", "nouveau", {"NOUVEAU_CHIPSET": chip, "NVK_I_WANT_A_BROKEN_VULKAN_DRIVER": "1"})
            for name, chip in (("ampere", "172"), ("ada", "192"))
        ),
        Target("adreno730", "adreno", NEWER, "freedreno", "freedreno", {"FD_GPU_ID": "730"}),
    ]
}
POSING = Target("lavapipe", "", NEWER, "lvp", None, {})

# What a stub is built of, below Mesa's src/.
SHIM = ["drm-shim/device.c", "drm-shim/drm_shim.c", "c11/impl/threads_posix.c"] + [
    f"util/{name}.c" for name in "anon_file futex hash_table log os_misc ralloc set simple_mtx u_debug u_printf u_process vma".split()
]
SHIMS = {
    "nouveau": ["nouveau/drm-shim/nouveau_noop.c"],
    "freedreno": ["freedreno/drm-shim/freedreno_noop.c"],
    "intel": ["intel/tools/intel_noop_drm_shim.c"]
    + [f"intel/dev/{name}.c" for name in "intel_debug intel_device_info intel_hwconfig intel_kmd".split()]
    + [f"intel/dev/{kernel}/intel_device_info.c" for kernel in ("i915", "xe")]
    + [f"intel/common/{name}.c" for name in "intel_gem i915/intel_gem xe/intel_gem".split()]
    + [f"util/{name}.c" for name in "bitscan half_float mesa-sha1 os_file parson sha1/sha1 u_math".split()],
}
# What the stubs lack for the newer drivers: the address spaces of Qualcomm's, and NVIDIA's Ada.
PATCHES = {
    "freedreno": [("[DRM_MSM_SUBMITQUEUE_NEW] =", "[0x0d] = msm_ioctl_noop, /* VM_BIND */ [DRM_MSM_SUBMITQUEUE_NEW] =")],
    "nouveau": [
        ("case 0x170:", "case 0x190: case 0x170:"),
        ("= GA102_3D_CLASS;", "= device_info.chip_id >= 0x190 ? AD102_3D_CLASS : GA102_3D_CLASS;"),
        ("= GA102_COMPUTE_CLASS;", "= device_info.chip_id >= 0x190 ? AD102_COMPUTE_CLASS : GA102_COMPUTE_CLASS;"),
    ],
    "intel": [],
}
# Scripts of intel/dev, and what they write.
GENERATED = {
    "intel_device_info_gen_h.py": ["intel_device_info_gen.h"],
    "intel_device_info_serialize_gen_c.py": ["intel_device_info_serialize_gen.c"],
    "gen_wa_helpers.py": ["intel_wa.h", "intel_wa.c"],
}
DEFINES = """_GNU_SOURCE HAVE_PTHREAD HAVE_STRUCT_TIMESPEC HAVE_TIMESPEC_GET HAVE_SECURE_GETENV HAVE_ENDIAN_H HAVE_MEMFD_CREATE
    HAVE_LINUX_FUTEX_H HAVE_PROGRAM_INVOCATION_NAME HAVE___BUILTIN_FFS HAVE___BUILTIN_CLZ HAVE___BUILTIN_UNREACHABLE NDEBUG
    UTIL_ARCH_LITTLE_ENDIAN=1 UTIL_ARCH_BIG_ENDIAN=0 PACKAGE_VERSION="lab" """.split()


def call(command, **options):
    """Runs a command in silence; what it says is the reason where it fails."""
    command = [str(part) for part in command]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    if result.returncode != 0:
        raise Missing(f"{command[0]} failed: " + " | ".join(result.stdout.strip().splitlines()[-2:]))


def compiler():
    found = os.environ.get("CC") or next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if not found:
        raise Missing("there is no C compiler")
    return found


class Apt:
    """apt-get with lists of its own, for a suite of Debian."""

    def __init__(self, suite, folder):
        if platform.machine() != "x86_64" or not shutil.which("apt-get") or not pathlib.Path(KEYRING).exists():
            raise Missing("it needs apt-get and Debian's keyring on x86_64")
        self.suite, self.archives = suite, folder / "var/cache/apt/archives"
        empty = "etc/apt/apt.conf.d etc/apt/preferences.d var/lib/apt/lists/partial var/lib/dpkg var/cache/apt/archives/partial"
        for name in empty.split():
            (folder / name).mkdir(parents=True)
        (folder / "var/lib/dpkg/status").touch()
        suites = dict.fromkeys(("trixie", suite))
        lines = [f"{kind} [signed-by={KEYRING}] {MIRROR} {name} main" for kind in ("deb", "deb-src") for name in suites]
        (folder / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
        configuration = folder / "apt.conf"
        user = "root" if os.geteuid() == 0 else ""
        configuration.write_text(
            f'Dir "{folder}";\nDir::State::status "{folder}/var/lib/dpkg/status";\n'
            f'APT::Architecture "amd64";\nAPT::Sandbox::User "{user}";\n'
        )
        self.environment = os.environ | {"APT_CONFIG": str(configuration)}
        self.get("-o", "APT::Update::Error-Mode=any", "update")

    def get(self, *arguments, **options):
        call(["apt-get", "-qq", *arguments], env=self.environment, **options)


def get_mesa(mesa):
    """Unpacks a version of Mesa with all libraries that it needs, libc among them where the host's is older."""
    if (mesa.root / "usr/share/vulkan/icd.d").exists():
        return
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        apt = Apt(mesa.suite, pathlib.Path(folder) / "apt")
        apt.get("install", "-y", "--download-only", "--no-install-recommends", "-t", mesa.suite, *mesa.packages)
        root = pathlib.Path(folder) / "root"
        for package in apt.archives.glob("*.deb"):
            if not package.name.startswith("libc6_") or host_is_older():
                call(["dpkg", "-x", package, root])
        root.rename(mesa.root)


def host_is_older():
    version = platform.libc_ver()[1] or "0"
    return tuple(int(part) for part in version.split(".")[:2]) < GLIBC


def get_source():
    """Mesa's source, of the version that STABLE has."""
    source = CACHE / "source"
    if not source.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            folder = pathlib.Path(folder)
            Apt("trixie", folder / "apt").get("source", "--download-only", "mesa", cwd=folder)
            archive = next(folder.glob("mesa_*.orig.tar.*"), None)
            if not archive:
                raise Missing("Debian has no source of Mesa")
            (folder / "source").mkdir()
            call(["tar", "--extract", "--file", archive, "--directory", folder / "source", "--strip-components=1"])
            (folder / "source").rename(source)
    return source / "src"


def get_shim(name):
    """Builds the kernel's stub for a driver."""
    shim = CACHE / "shims" / f"{name}.so"
    if shim.exists():
        return
    get_mesa(STABLE)
    source, generated = get_source(), CACHE / "shims/generated"
    patched, *others = SHIMS[name]
    text = (source / patched).read_text()
    for old, new in PATCHES[name]:
        text = text.replace(old, new)
    (generated / "intel/dev").mkdir(parents=True, exist_ok=True)
    (generated / f"{name}.c").write_text(text)
    files = [generated / f"{name}.c", *(source / file for file in SHIM + others)]
    if name == "intel":
        for script, results in GENERATED.items():
            inputs = [source / "intel/dev/mesa_defs.json"] if script == "gen_wa_helpers.py" else []
            python = os.environ | {"PYTHONPATH": str(STABLE.root / "usr/lib/python3/dist-packages")}
            call(["python3", source / "intel/dev" / script, *inputs, *(generated / "intel/dev" / result for result in results)], env=python)
            files += [generated / "intel/dev" / result for result in results if result.endswith(".c")]
    headers = STABLE.root / "usr/include"
    includes = [generated, generated / "intel", source / "../include", source, source / "intel", source / "nouveau/drm"]
    includes += [source / "../include/drm-uapi", headers / "libdrm", headers]
    quoted = [(source / patched).parent, generated / "intel/dev", source / "intel/dev", source / "intel/common", source / "util"]
    call(
        [compiler(), "-O1", "-w", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections"]
        + ["-Wl,--gc-sections", *(f"-D{define}" for define in DEFINES), *(f"-iquote{folder}" for folder in quoted)]
        + [f"-I{folder}" for folder in includes]
        + [*files, "-o", shim, f"-L{STABLE.root / LIBRARIES}", "-l:libdrm.so.2", "-ldl", "-lpthread", "-lm"]
    )


def get_layer():
    """Builds the layer beside this file, and writes its manifest."""
    folder, source = CACHE / "layer", HERE / "layer.c"
    library, manifest = folder / "libwgrad_lab.so", folder / "wgrad_lab.json"
    if manifest.exists() and library.stat().st_mtime > source.stat().st_mtime:
        return
    folder.mkdir(parents=True, exist_ok=True)
    roots = (mesa.root / "usr/include" for mesa in (STABLE, NEWER))
    headers = next((root for root in roots if (root / "vulkan/vk_layer.h").exists()), "/usr/include")
    call([compiler(), "-O1", "-shared", "-fPIC", "-fvisibility=hidden", f"-idirafter{headers}", source, "-o", library])
    functions = {f"vk{name}": f"wgrad_lab_{name}" for name in ("GetInstanceProcAddr", "GetDeviceProcAddr")}
    layer = {"name": "VK_LAYER_WGRAD_lab", "type": "GLOBAL", "library_path": str(library), "functions": functions}
    layer |= {"api_version": "1.3.0", "implementation_version": "1", "description": "What a driver compiles"}
    manifest.write_text(json.dumps({"file_format_version": "1.2.0", "layer": layer}))


def get(target):
    """Fetches and builds what a target needs and is not there yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    get_mesa(target.mesa)
    if target.shim:
        get_shim(target.shim)
    get_layer()


def prepared(target, program, switches):
    """The command and the environment that run a program on a target; the switches are the layer's, without their prefix."""
    root = target.mesa.root
    manifest = json.loads((root / f"usr/share/vulkan/icd.d/{target.driver}_icd.json").read_text())
    manifest["ICD"]["library_path"] = str(root / LIBRARIES / manifest["ICD"]["library_path"])
    icd = CACHE / "icd" / f"{target.mesa.name}-{target.driver}.json"
    icd.parent.mkdir(exist_ok=True)
    icd.write_text(json.dumps(manifest))
    environment = os.environ | target.environment | {f"WGRAD_LAB_{name}": str(value) for name, value in switches.items()}
    environment |= {"VK_DRIVER_FILES": str(icd), "VK_LAYER_PATH": str(CACHE / "layer"), "VK_INSTANCE_LAYERS": "VK_LAYER_WGRAD_lab"}
    # Pipelines get their names only where wgpu's debugging is on.
    environment |= {"WGPU_BACKEND": "vulkan", "WGPU_DEBUG": "1", "MESA_SHADER_CACHE_DISABLE": "true"}
    environment.setdefault("XDG_RUNTIME_DIR", "/tmp")
    shim = CACHE / "shims" / f"{target.shim}.so" if target.shim else None
    program = [shutil.which(program[0]) or program[0], *program[1:]]
    if (root / LOADER).exists():
        preload = ["--preload", str(shim)] if shim else []
        return [str(root / LOADER), "--library-path", str(root / LIBRARIES), *preload, *program], environment
    environment |= {"LD_LIBRARY_PATH": str(root / LIBRARIES)} | ({"LD_PRELOAD": str(shim)} if shim else {})
    return program, environment
