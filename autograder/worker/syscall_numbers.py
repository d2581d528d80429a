"""System call numbers by name for the architectures that the filter knows (from the kernel's own headers)."""

from __future__ import annotations

# fmt: off
NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {
        "read": 0, "write": 1, "futex": 202, "mmap": 9, "munmap": 11, "mprotect": 10, "madvise": 28, "brk": 12, "readv": 19, "writev": 20,
        "pread64": 17, "pwrite64": 18, "lseek": 8, "close": 3, "fstat": 5, "stat": 4, "lstat": 6, "newfstatat": 262, "statx": 332, "access":
        21, "faccessat": 269, "faccessat2": 439, "open": 2, "openat": 257, "getdents64": 217, "readlink": 89, "readlinkat": 267, "getcwd":
        79, "mremap": 25, "msync": 26, "mincore": 27, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sigaltstack": 131,
        "getpid": 39, "gettid": 186, "getppid": 110, "getuid": 102, "geteuid": 107, "getgid": 104, "getegid": 108, "getpgrp": 111,
        "getpgid": 121, "getsid": 124, "getgroups": 115, "uname": 63, "sysinfo": 99, "getrandom": 318, "clock_gettime": 228, "clock_getres":
        229, "clock_nanosleep": 230, "nanosleep": 35, "gettimeofday": 96, "time": 201, "times": 100, "getrusage": 98, "getrlimit": 97,
        "sched_yield": 24, "sched_getaffinity": 204, "sched_getparam": 143, "sched_getscheduler": 145, "sched_get_priority_max": 146,
        "sched_get_priority_min": 147, "getcpu": 309, "set_robust_list": 273, "get_robust_list": 274, "set_tid_address": 218, "rseq": 334,
        "membarrier": 324, "arch_prctl": 158, "exit": 60, "exit_group": 231, "restart_syscall": 219, "poll": 7, "ppoll": 271, "select": 23,
        "pselect6": 270, "dup": 32, "dup2": 33, "dup3": 292, "statfs": 137, "fstatfs": 138, "fsync": 74, "fdatasync": 75, "ftruncate": 77,
        "unlink": 87, "unlinkat": 263, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "rename": 82, "renameat": 264, "renameat2": 316, "umask":
        95, "utimensat": 280, "getxattr": 191, "lgetxattr": 192, "capget": 125, "clone": 56, "fork": 57, "vfork": 58, "execve": 59,
        "execveat": 322, "kill": 62, "tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "pidfd_send_signal": 424, "pidfd_open":
        434, "pidfd_getfd": 438, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "process_madvise": 440, "socket": 41,
        "socketpair": 53, "connect": 42, "bind": 49, "listen": 50, "accept": 43, "accept4": 288, "sendto": 44, "recvfrom": 45, "sendmsg":
        46, "recvmsg": 47, "sendmmsg": 307, "recvmmsg": 299, "shutdown": 48, "getsockopt": 55, "setsockopt": 54, "getsockname": 51,
        "getpeername": 52, "pipe": 22, "pipe2": 293, "eventfd": 284, "eventfd2": 290, "memfd_create": 319, "memfd_secret": 447, "shmget":
        29, "shmat": 30, "shmctl": 31, "shmdt": 67, "msgget": 68, "semget": 64, "mq_open": 240, "ioctl": 16, "setrlimit": 160, "prctl": 157,
        "chdir": 80, "fchdir": 81, "chroot": 161, "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "lchown": 94, "fchown": 93,
        "fchownat": 260, "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266, "mknod": 133, "mknodat": 259, "mount": 165, "umount2":
        166, "pivot_root": 155, "unshare": 272, "setns": 308, "setuid": 105, "setgid": 106, "setreuid": 113, "setregid": 114, "setresuid":
        117, "setresgid": 119, "setgroups": 116, "setsid": 112, "setpgid": 109, "capset": 126, "seccomp": 317, "bpf": 321,
        "perf_event_open": 298, "keyctl": 250, "add_key": 248, "request_key": 249, "io_uring_setup": 425, "io_uring_enter": 426,
        "io_uring_register": 427, "userfaultfd": 323, "inotify_init": 253, "inotify_init1": 294, "fanotify_init": 300, "timer_create": 222,
        "timerfd_create": 283, "alarm": 37, "setitimer": 38, "sched_setaffinity": 203, "sched_setscheduler": 144, "setpriority": 141,
        "personality": 135, "quotactl": 179, "reboot": 169, "swapon": 167, "swapoff": 168, "syslog": 103, "init_module": 175,
        "finit_module": 313, "delete_module": 176, "kexec_load": 246, "truncate": 76, "creat": 85, "fallocate": 285, "flock": 73,
        "epoll_create": 213, "epoll_create1": 291, "epoll_ctl": 233, "splice": 275, "tee": 276, "vmsplice": 278, "sendfile": 40,
        "copy_file_range": 326, "process_mrelease": 448, "mlock": 149, "mlock2": 325, "mlockall": 151, "landlock_create_ruleset": 444,
        "landlock_add_rule": 445, "landlock_restrict_self": 446, "tgkill": 234, "fcntl": 72, "prlimit64": 302, "clone3": 435,
    },
    "aarch64": {
        "read": 63, "write": 64, "futex": 98, "mmap": 222, "munmap": 215, "mprotect": 226, "madvise": 233, "brk": 214, "readv": 65,
        "writev": 66, "pread64": 67, "pwrite64": 68, "lseek": 62, "close": 57, "fstat": 80, "newfstatat": 79, "statx": 291, "faccessat": 48,
        "faccessat2": 439, "openat": 56, "getdents64": 61, "readlinkat": 78, "getcwd": 17, "mremap": 216, "msync": 227, "mincore": 232,
        "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "sigaltstack": 132, "getpid": 172, "gettid": 178, "getppid": 173,
        "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "getpgid": 155, "getsid": 156, "getgroups": 158, "uname": 160,
        "sysinfo": 179, "getrandom": 278, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "nanosleep": 101,
        "gettimeofday": 169, "times": 153, "getrusage": 165, "getrlimit": 163, "sched_yield": 124, "sched_getaffinity": 123,
        "sched_getparam": 121, "sched_getscheduler": 120, "sched_get_priority_max": 125, "sched_get_priority_min": 126, "getcpu": 168,
        "set_robust_list": 99, "get_robust_list": 100, "set_tid_address": 96, "rseq": 293, "membarrier": 283, "exit": 93, "exit_group": 94,
        "restart_syscall": 128, "ppoll": 73, "pselect6": 72, "dup": 23, "dup3": 24, "statfs": 43, "fstatfs": 44, "fsync": 82, "fdatasync":
        83, "ftruncate": 46, "unlinkat": 35, "mkdirat": 34, "renameat": 38, "renameat2": 276, "umask": 166, "utimensat": 88, "getxattr": 8,
        "lgetxattr": 9, "capget": 90, "clone": 220, "execve": 221, "execveat": 281, "kill": 129, "tkill": 130, "rt_sigqueueinfo": 138,
        "rt_tgsigqueueinfo": 240, "pidfd_send_signal": 424, "pidfd_open": 434, "pidfd_getfd": 438, "ptrace": 117, "process_vm_readv": 270,
        "process_vm_writev": 271, "process_madvise": 440, "socket": 198, "socketpair": 199, "connect": 203, "bind": 200, "listen": 201,
        "accept": 202, "accept4": 242, "sendto": 206, "recvfrom": 207, "sendmsg": 211, "recvmsg": 212, "sendmmsg": 269, "recvmmsg": 243,
        "shutdown": 210, "getsockopt": 209, "setsockopt": 208, "getsockname": 204, "getpeername": 205, "pipe2": 59, "eventfd2": 19,
        "memfd_create": 279, "memfd_secret": 447, "shmget": 194, "shmat": 196, "shmctl": 195, "shmdt": 197, "msgget": 186, "semget": 190,
        "mq_open": 180, "ioctl": 29, "setrlimit": 164, "prctl": 167, "chdir": 49, "fchdir": 50, "chroot": 51, "fchmod": 52, "fchmodat": 53,
        "fchown": 55, "fchownat": 54, "linkat": 37, "symlinkat": 36, "mknodat": 33, "mount": 40, "umount2": 39, "pivot_root": 41, "unshare":
        97, "setns": 268, "setuid": 146, "setgid": 144, "setreuid": 145, "setregid": 143, "setresuid": 147, "setresgid": 149, "setgroups":
        159, "setsid": 157, "setpgid": 154, "capset": 91, "seccomp": 277, "bpf": 280, "perf_event_open": 241, "keyctl": 219, "add_key": 217,
        "request_key": 218, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "userfaultfd": 282, "inotify_init1": 26,
        "fanotify_init": 262, "timer_create": 107, "timerfd_create": 85, "setitimer": 103, "sched_setaffinity": 122, "sched_setscheduler":
        119, "setpriority": 140, "personality": 92, "quotactl": 60, "reboot": 142, "swapon": 224, "swapoff": 225, "syslog": 116,
        "init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104, "truncate": 45, "fallocate": 47, "flock": 32,
        "epoll_create1": 20, "epoll_ctl": 21, "splice": 76, "tee": 77, "vmsplice": 75, "sendfile": 71, "copy_file_range": 285,
        "process_mrelease": 448, "mlock": 228, "mlock2": 284, "mlockall": 230, "landlock_create_ruleset": 444, "landlock_add_rule": 445,
        "landlock_restrict_self": 446, "tgkill": 131, "fcntl": 25, "prlimit64": 261, "clone3": 435,
    },
}
