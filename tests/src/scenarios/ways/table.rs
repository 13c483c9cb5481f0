//! What is done on each way, and what the event has to say.

use serde_json::{Value, json};

use super::scene::Scene;
use crate::node::is_guest;

pub enum Act {
    /// Arguments of the actor.
    Actor(fn(&Scene) -> Vec<String>),
    /// A line of shell, in which the second argument is the actor.
    Shell(fn(&Scene, &str) -> String),
    /// The same once a mount over the directory was told: fanotify does not say where a mount was that ended at once.
    Mounted(fn(&Scene, &str) -> String),
}

pub struct Way {
    pub id: &'static str,
    pub act: Act,
    pub wanted: fn(&Scene) -> Value,
}

/// A port that is nobody's.
const DISCARD: u16 = 9;

const FILE: &str = "above/manifests/etcd.yaml";

macro_rules! args {
    ($scene:ident, $($word:expr),+) => { vec![$($word.to_string()),+] };
}

/// By the actor.
macro_rules! actor {
    ($id:literal, |$scene:ident| [$($word:expr),+], $wanted:expr) => {
        Way { id: $id, act: Act::Actor(|$scene| args!($scene, $($word),+)), wanted: $wanted }
    };
}

/// By a shell in the scene's directory.
macro_rules! shell {
    ($id:literal, $line:literal, $wanted:expr) => {
        Way {
            id: $id,
            act: Act::Shell(|scene, actor| {
                format!("cd {}; {}", scene.path(""), $line.replace("{actor}", actor))
            }),
            wanted: $wanted,
        }
    };
}

fn opened(scene: &Scene) -> Value {
    file(scene, "open", FILE)
}

fn file(scene: &Scene, action: &str, name: &str) -> Value {
    json!({"action": action, "target": {"class": "static_pod_manifest", "type": "file", "path": scene.path(name)}})
}

fn masquerade(scene: &Scene) -> Value {
    json!({
        "action": "masquerade",
        "target": {"class": "static_pod_manifest", "type": "process", "exe": scene.path("trusted")},
        "verdict": {"reason": "exe_mismatch"},
    })
}

/// With the other place of a rename or link.
fn moved(scene: &Scene, action: &str, name: &str, key: &str, other: &str) -> Value {
    let mut wanted = file(scene, action, name);
    wanted["target"][key] = json!(scene.path(other));
    wanted
}

pub fn mount(scene: &Scene, action: &str, name: &str) -> Value {
    json!({"action": action, "target": {"class": "static_pod_manifest", "type": "mount", "path": scene.path(name)}})
}

fn unix(scene: &Scene) -> Value {
    socket(scene, "connect", "runtime.sock")
}

fn socket(scene: &Scene, action: &str, name: &str) -> Value {
    json!({"action": action, "target": {"class": "runtime_api", "type": "unix_socket", "path": scene.path(name)}})
}

fn failed(scene: &Scene, name: &str, errno: i32) -> Value {
    let mut wanted = socket(scene, "connect", name);
    wanted["outcome"] = json!({"status": "failure", "errno": errno});
    wanted
}

fn tcp(scene: &Scene) -> Value {
    json!({"action": "connect", "target": {"class": "kubelet_api", "type": "inet_socket", "dst_port": scene.port()},
           "outcome": {"status": "success"}})
}

fn at_own_address(scene: &Scene) -> Value {
    json!({"action": "connect",
           "target": {"class": "kubelet_api", "dst_ip": scene.address(), "dst_port": scene.port(), "local": true}})
}

fn new(scene: &Scene) -> Value {
    file(scene, "create", "above/manifests/new.yaml")
}

pub const WAYS: &[Way] = &[
    actor!("open.read", |scene| ["open", scene.path(FILE), "r"], opened),
    actor!("open.write", |scene| ["open", scene.path(FILE), "w"], |scene| file(scene, "write", FILE)),
    actor!("open.create", |scene| ["open", scene.path("above/manifests/create.yaml"), "create"], |scene| {
        file(scene, "create", "above/manifests/create.yaml")
    }),
    actor!("open.creat", |scene| ["file", "creat", scene.path("above/manifests/creat.yaml")], |scene| file(
        scene,
        "create",
        "above/manifests/creat.yaml"
    )),
    actor!("open.openat2", |scene| ["file", "openat2", scene.path(FILE)], opened),
    shell!("open.symlink", "ln -sf above/manifests/etcd.yaml link; exec {actor} open link r", opened),
    shell!(
        "open.symlinked_directory",
        "ln -sfn above/manifests dirlink; exec {actor} open dirlink/etcd.yaml r",
        opened
    ),
    shell!("open.hard_link", "ln -f above/manifests/etcd.yaml hard; exec {actor} open hard r", opened),
    shell!(
        "open.hard_link_new",
        "rm -f above/manifests/fresh.yaml fresh; {actor} open above/manifests/fresh.yaml create; \
         ln above/manifests/fresh.yaml fresh; exec {actor} open fresh w",
        |scene| json!({"action": "write", "target": {"class": "static_pod_manifest", "path_seen": scene.path("fresh")}})
    ),
    shell!(
        "open.bind_directory",
        "exec unshare -m sh -ec 'mount --bind above/manifests point; exec {actor} open point/etcd.yaml r'",
        opened
    ),
    shell!(
        "open.bind_file",
        "exec unshare -m sh -ec 'mount --bind above/manifests/etcd.yaml other.yaml; exec {actor} open other.yaml r'",
        opened
    ),
    // Of a process that has the directory under another name.
    shell!(
        "open.proc_root",
        "rm -f pid; unshare -m sh -ec 'mount --bind above/manifests point; echo $$ >new; mv new pid; exec sleep 60' & \
         until [ -e pid ]; do :; done; {actor} open /proc/$(cat pid)/root$PWD/point/etcd.yaml r; status=$?; \
         kill $(cat pid); exit $status",
        opened
    ),
    shell!(
        "open.user_namespace",
        "exec unshare -Urm sh -ec 'mount --bind above/manifests point; exec {actor} open point/etcd.yaml r'",
        opened
    ),
    actor!("open.detached", |scene| ["file", "detached", scene.path("above/manifests"), "etcd.yaml"], opened),
    actor!("open.proc_fd", |scene| ["file", "proc-fd", scene.path(FILE)], opened),
    actor!("open.handle", |scene| ["file", "handle", scene.path(FILE), "cached"], opened),
    actor!("open.handle_uncached", |scene| ["file", "handle", scene.path(FILE), "dropped"], opened),
    actor!("open.uring", |scene| ["uring-open", "inline", scene.path(FILE)], opened),
    actor!("open.uring_async", |scene| ["uring-open", "async", scene.path(FILE)], opened),
    actor!("open.uring_poll", |scene| ["uring-open", "poll", scene.path(FILE)], opened),
    actor!("open.uring_direct", |scene| ["uring-open", "direct", scene.path(FILE)], opened),
    shell!(
        "open.overlay_lower",
        "exec unshare -m sh -ec 'mount -t overlay o -o lowerdir=above/manifests,upperdir=upper,workdir=work merged || \
         exec echo unsupported >&2; exec {actor} open merged/etcd.yaml r'",
        opened
    ),
    shell!(
        "open.overlay_upper",
        "exec unshare -m sh -ec 'mount -t overlay o -o lowerdir=upper,upperdir=above/manifests,workdir=work merged || \
         exec echo unsupported >&2; exec {actor} open merged/etcd.yaml r'",
        opened
    ),
    shell!(
        "open.overlay_ancestor",
        "exec unshare -m sh -ec 'mount -t overlay o -o lowerdir=above,upperdir=upper,workdir=work merged || \
         exec echo unsupported >&2; exec {actor} open merged/manifests/etcd.yaml r'",
        opened
    ),
    actor!("open.mmap", |scene| ["file", "mmap", scene.path(FILE)], |scene| file(scene, "write", FILE)),
    actor!("open.inherited", |scene| ["inherit", scene.path(FILE)], |scene| file(scene, "write", FILE)),
    actor!("open.handed_over", |scene| ["hand", "file", scene.path(FILE)], |scene| file(
        scene, "receive", FILE
    )),
    shell!(
        "change.overlay_upper",
        "exec unshare -m sh -ec 'mount -t overlay o -o lowerdir=upper,upperdir=above/manifests,workdir=work merged || \
         exec echo unsupported >&2; exec {actor} open merged/upper.yaml create'",
        |scene| json!({"action": ["create", "rename"], "target": {"path": scene.path("above/manifests/upper.yaml")}})
    ),
    shell!("change.rename_in", "exec mv outside.yaml above/manifests/in.yaml", |scene| moved(
        scene,
        "rename",
        "above/manifests/in.yaml",
        "from",
        "outside.yaml"
    )),
    shell!("change.rename_out", "exec mv above/manifests/etcd.yaml out.yaml", |scene| moved(
        scene, "rename", FILE, "to", "out.yaml"
    )),
    actor!(
        "change.exchange",
        |scene| ["file", "exchange", scene.path("other.yaml"), scene.path(FILE)],
        |scene| moved(scene, "rename", FILE, "from", "other.yaml")
    ),
    shell!("change.link_in", "exec ln other.yaml above/manifests/linked.yaml", |scene| moved(
        scene,
        "link",
        "above/manifests/linked.yaml",
        "from",
        "other.yaml"
    )),
    shell!("change.link_out", "rm -f linkedout; exec ln above/manifests/etcd.yaml linkedout", |scene| moved(
        scene,
        "link",
        FILE,
        "to",
        "linkedout"
    )),
    actor!(
        "change.tmpfile",
        |scene| ["file", "tmpfile", scene.path(""), scene.path("above/manifests/tmpfile.yaml")],
        |scene| file(scene, "link", "above/manifests/tmpfile.yaml")
    ),
    shell!("change.symlink_in", "exec ln -s /etc/passwd above/manifests/symlink.yaml", |scene| file(
        scene,
        "symlink",
        "above/manifests/symlink.yaml"
    )),
    actor!(
        "change.mknod",
        |scene| ["file", "mknod", scene.path("above/manifests/mknod.yaml")],
        |scene| file(scene, "create", "above/manifests/mknod.yaml")
    ),
    shell!("change.fifo", "exec mkfifo above/manifests/fifo", |scene| file(
        scene,
        "create",
        "above/manifests/fifo"
    )),
    shell!("change.mkdir", "exec mkdir above/manifests/dir", |scene| file(
        scene,
        "create",
        "above/manifests/dir"
    )),
    shell!("change.unlink", "exec rm above/manifests/etcd.yaml", |scene| file(scene, "unlink", FILE)),
    shell!("change.rmdir", "exec rmdir above/manifests/dir", |scene| file(
        scene,
        "unlink",
        "above/manifests/dir"
    )),
    actor!("change.truncate", |scene| ["file", "truncate", scene.path(FILE)], |scene| file(
        scene, "truncate", FILE
    )),
    actor!("change.ftruncate", |scene| ["file", "ftruncate", scene.path(FILE)], |scene| file(
        scene, "truncate", FILE
    )),
    shell!("change.chmod", "exec chmod 640 above/manifests/etcd.yaml", |scene| file(scene, "chmod", FILE)),
    shell!("change.chown", "exec chown 1 above/manifests/etcd.yaml", |scene| file(scene, "chown", FILE)),
    actor!("change.setxattr", |scene| ["file", "setxattr", scene.path(FILE)], |scene| file(
        scene, "setxattr", FILE
    )),
    actor!(
        "change.uring_rename",
        |scene| ["uring-rename", scene.path("outside.yaml"), scene.path("above/manifests/ring.yaml")],
        |scene| moved(scene, "rename", "above/manifests/ring.yaml", "from", "outside.yaml")
    ),
    actor!(
        "change.uring_link",
        |scene| ["uring-link", scene.path("other.yaml"), scene.path("above/manifests/ring_link.yaml")],
        |scene| moved(scene, "link", "above/manifests/ring_link.yaml", "from", "other.yaml")
    ),
    actor!("change.uring_unlink", |scene| ["uring-unlink", scene.path(FILE)], |scene| file(
        scene, "unlink", FILE
    )),
    shell!("change.ancestor_rename", "exec mv above moved", |scene| moved(
        scene, "rename", "above", "to", "moved"
    )),
    shell!(
        "change.ancestor_rename_write",
        "mkdir -p next/manifests; mv above moved; mv next above; exec {actor} open above/manifests/new.yaml create",
        new
    ),
    shell!(
        "change.ancestor_exchange",
        "mkdir -p fake/manifests; exec {actor} file exchange above fake",
        |scene| { moved(scene, "rename", "above", "from", "fake") }
    ),
    shell!(
        "change.ancestor_exchange_write",
        "mkdir -p fake/manifests; {actor} file exchange fake above; exec {actor} open above/manifests/new.yaml create",
        new
    ),
    shell!(
        "change.ancestor_rename_in",
        "mkdir -p next/manifests; mv above moved; mv next above; exec mv outside.yaml above/manifests/new.yaml",
        |scene| moved(scene, "rename", "above/manifests/new.yaml", "from", "outside.yaml")
    ),
    shell!("mount.tmpfs", "exec mount -t tmpfs none above/manifests", |scene| mount(
        scene,
        "mount",
        "above/manifests"
    )),
    shell!(
        "mount.tmpfs_write",
        "mount -t tmpfs none above/manifests; exec {actor} open above/manifests/new.yaml create",
        |scene| file(scene, "create", "above/manifests/new.yaml")
    ),
    shell!("mount.bind", "exec mount --bind upper above/manifests", |scene| mount(
        scene,
        "mount",
        "above/manifests"
    )),
    shell!(
        "mount.bind_write",
        "mount --bind upper above/manifests; exec {actor} open above/manifests/new.yaml create",
        new
    ),
    shell!("mount.bind_file", "exec mount --bind other.yaml above/manifests/etcd.yaml", |scene| mount(
        scene, "mount", FILE
    )),
    shell!(
        "mount.bind_file_write",
        "mount --bind other.yaml above/manifests/etcd.yaml; exec {actor} open above/manifests/etcd.yaml w",
        |scene| file(scene, "write", FILE)
    ),
    shell!("mount.ancestor", "exec mount -t tmpfs none above", |scene| mount(scene, "mount", "above")),
    shell!(
        "mount.ancestor_write",
        "mount -t tmpfs none above; mkdir above/manifests; exec {actor} open above/manifests/new.yaml create",
        new
    ),
    shell!(
        "mount.propagated",
        "mount --bind above above; mount --make-shared above; mount --bind above point; \
         exec mount -t tmpfs none point/manifests",
        |scene| mount(scene, "mount", "above/manifests")
    ),
    shell!(
        "mount.propagated_write",
        "mount --bind above above; mount --make-shared above; mount --bind above point; \
         mount -t tmpfs none point/manifests; exec {actor} open above/manifests/new.yaml create",
        new
    ),
    actor!("mount.move_mount", |scene| ["file", "move-mount", scene.path("above/manifests")], |scene| mount(
        scene,
        "mount",
        "above/manifests"
    )),
    shell!(
        "mount.move_mount_write",
        "{actor} file move-mount above/manifests; exec {actor} open above/manifests/new.yaml create",
        new
    ),
    actor!(
        "mount.open_tree",
        |scene| ["file", "open-tree", scene.path("upper"), scene.path("above/manifests")],
        |scene| mount(scene, "mount", "above/manifests")
    ),
    shell!(
        "mount.open_tree_write",
        "{actor} file open-tree upper above/manifests; exec {actor} open above/manifests/new.yaml create",
        new
    ),
    Way {
        id: "mount.umount",
        act: Act::Mounted(|scene, _| format!("exec umount -l {}", scene.path("above/manifests"))),
        wanted: |scene| mount(scene, "umount", "above/manifests"),
    },
    actor!("unix.stream", |scene| ["unix", scene.path("runtime.sock")], unix),
    actor!("unix.nonblocking", |scene| ["unix-how", "nonblocking", scene.path("runtime.sock")], unix),
    actor!("unix.seqpacket", |scene| ["unix-how", "seqpacket", scene.path("packets.sock")], |scene| socket(
        scene,
        "connect",
        "packets.sock"
    )),
    actor!("unix.made_anew", |scene| ["unix-how", "anew", scene.path("anew.sock")], |scene| socket(
        scene,
        "connect",
        "anew.sock"
    )),
    shell!("unix.symlink", "ln -sf runtime.sock link.sock; exec {actor} unix link.sock", unix),
    shell!("unix.hard_link", "ln -f runtime.sock hard.sock; exec {actor} unix hard.sock", unix),
    shell!("unix.renamed", "mv runtime.sock renamed.sock; exec {actor} unix renamed.sock", unix),
    shell!(
        "unix.bind_mount",
        "exec unshare -m sh -ec 'mount --bind runtime.sock other.yaml; exec {actor} unix other.yaml'",
        unix
    ),
    shell!("unix.network_namespace", "exec unshare -n {actor} unix runtime.sock", unix),
    actor!("unix.proc_fd", |scene| ["unix-how", "proc-fd", scene.path("runtime.sock")], unix),
    actor!("unix.uring", |scene| ["uring-connect", "inline", scene.path("runtime.sock")], unix),
    actor!("unix.uring_poll", |scene| ["uring-connect", "poll", scene.path("runtime.sock")], unix),
    actor!("unix.swapped", |scene| ["swap", scene.path("runtime.sock")], unix),
    actor!("unix.refused", |scene| ["unix-how", "failing", scene.path("deaf.sock")], |scene| failed(
        scene,
        "deaf.sock",
        libc::ECONNREFUSED
    )),
    shell!(
        "unix.forbidden",
        "chmod 600 runtime.sock; exec {actor} nobody unix-how failing $PWD/runtime.sock",
        |scene| failed(scene, "runtime.sock", libc::EACCES)
    ),
    actor!("unix.handed_over", |scene| ["hand", "unix", scene.path("runtime.sock")], |scene| socket(
        scene,
        "receive",
        "runtime.sock"
    )),
    actor!("unix.stolen", |scene| ["lose", "unix", scene.path("runtime.sock")], |scene| socket(
        scene,
        "receive",
        "runtime.sock"
    )),
    actor!("tcp.connect", |scene| ["tcp-how", "plain", format!("127.0.0.1:{}", scene.port())], tcp),
    actor!("tcp.refused", |scene| ["tcp", "127.0.0.1", scene.closed_port()], |scene| {
        json!({"action": "connect", "target": {"class": "kubelet_api", "dst_port": scene.closed_port()},
               "outcome": {"status": "failure", "errno": libc::ECONNREFUSED}})
    }),
    actor!("tcp.nonblocking", |scene| ["tcp-how", "nonblocking", format!("127.0.0.1:{}", scene.port())], tcp),
    actor!("tcp.fast_open", |scene| ["tcp-how", "fast-open", format!("127.0.0.1:{}", scene.port())], tcp),
    actor!(
        "tcp.fast_open_connect",
        |scene| ["tcp-how", "fast-open-connect", format!("127.0.0.1:{}", scene.port())],
        tcp
    ),
    actor!("tcp.mptcp", |scene| ["tcp-how", "mptcp", format!("127.0.0.1:{}", scene.port())], tcp),
    actor!("tcp.mapped", |scene| ["tcp-how", "plain", format!("[::ffff:127.0.0.1]:{}", scene.port())], tcp),
    actor!("tcp.own_address", |scene| ["tcp", scene.address(), scene.port()], at_own_address),
    // Through the loopback interface, where nobody answers.
    shell!(
        "tcp.network_namespace",
        "exec unshare -n sh -ec 'ip link set lo up; ip addr add 192.0.2.7/32 dev lo; ip route add default dev lo; \
         exec {actor} tcp-how nonblocking $(cat address)'",
        at_own_address
    ),
    actor!("tcp.uring", |scene| ["uring-tcp", "connect", format!("127.0.0.1:{}", scene.port())], tcp),
    actor!(
        "tcp.uring_fast_open",
        |scene| ["uring-tcp", "fast-open", format!("127.0.0.1:{}", scene.port())],
        tcp
    ),
    actor!("tcp.handed_over", |scene| ["hand", "tcp", format!("127.0.0.1:{}", scene.port())], |scene| {
        json!({"action": "receive", "target": {"class": "kubelet_api", "dst_port": scene.port()}})
    }),
    actor!("tcp.ipv6", |scene| ["tcp", "::1", scene.port()], |scene| {
        json!({"action": "connect", "target": {"class": "kubelet_api", "dst_ip": "::1", "dst_port": scene.port()}})
    }),
    Way {
        id: "tcp.redirected",
        act: Act::Shell(|scene, actor| {
            if !is_guest() {
                return "echo unsupported: this packet filter is not to be changed by a test >&2; exit 1"
                    .to_owned();
            }
            format!(
                "nft 'table ip led {{ chain output {{ type nat hook output priority -100; \
                 tcp dport {DISCARD} redirect to :{}; }}; }}'; {actor} tcp 127.0.0.1 {DISCARD}; nft delete table ip led",
                scene.port()
            )
        }),
        wanted: |scene| {
            json!({"action": "accept", "verdict": {"reason": "client_unseen"},
                   "target": {"class": "kubelet_api", "src_ip": "127.0.0.1", "dst_port": scene.port(), "direction": "inbound"}})
        },
    },
    actor!("tcp.loopback", |scene| ["tcp", "127.0.0.9", scene.port()], |scene| {
        json!({"action": "connect", "target": {"class": "kubelet_api", "dst_ip": "127.0.0.9", "dst_port": scene.port()}})
    }),
    shell!(
        "tcp.pod_loopback",
        "exec unshare -n {actor} tcp 127.0.0.1 $(cat port)",
        |_| json!({"action": "connect", "target": {"class": "kubelet_api"}})
    ),
    actor!("unix.abstract", |scene| ["unix-how", "abstract", scene.path("runtime.sock")], unix),
    shell!(
        "control.ptrace",
        "[ -p still ] || mkfifo still; ./trusted sleep <>still & p=$!; \
         until [ /proc/$p/exe -ef trusted ]; do :; done; {actor} control $p; s=$?; kill $p; exit $s",
        |_| json!({"action": "ptrace", "target": {"class": "static_pod_manifest", "type": "process"}})
    ),
    actor!("control.exe_file", |scene| ["as-file", scene.path("trusted")], masquerade),
    // As anyone may, in a user namespace of his own.
    shell!("control.exe_map", "exec unshare -Ur {actor} as-mapped-file $PWD/trusted", masquerade),
    // The last: what is made in its place is known only when the daemon has looked.
    shell!("change.ancestor_unlink", "exec rm -r above", |scene| file(scene, "unlink", "above")),
    shell!(
        "change.ancestor_unlink_write",
        "rm -r above; mkdir -p above/manifests; exec {actor} open above/manifests/new.yaml create",
        new
    ),
];
