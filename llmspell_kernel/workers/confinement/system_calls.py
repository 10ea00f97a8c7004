"""System calls by name: their numbers on each architecture, and which a worker must not or may use.

The numbers are those of the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h), which never
change; a test compares them with the headers of the machine it runs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

FIRST_NEW = 424
"""From here on the numbers are the same on every architecture; all of them are answered as if they did not exist (see seccomp.py)."""
SIGNAL_SELF = ("kill", "tgkill")
"""Allowed where their first argument is this process: `abort` ends a process so."""
GET_LIMIT = "prlimit64"
"""Allowed for reading one's own limits: JavaScript's engine asks how large its stack is."""


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DENIED = _names(
    # names and contents of files, and what steers an open one (fcntl and ioctl can have a signal sent to a stranger)
    "access chdir chmod chown chroot copy_file_range creat faccessat fallocate fanotify_init fanotify_mark fchdir fchmod fchmodat "
    "fchown fchownat fcntl fgetxattr flistxattr flock fremovexattr fsetxattr fstatfs ftruncate futimesat getcwd getdents getdents64 "
    "getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr "
    "lookup_dcookie lremovexattr lsetxattr lstat memfd_create mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open "
    "open_by_handle_at openat readlink readlinkat removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs "
    "statx symlink symlinkat sync sync_file_range syncfs sysfs tee truncate unlink unlinkat uselib ustat utime utimensat utimes "
    "vmsplice "
    # network
    "accept accept4 bind connect getpeername getsockname getsockopt listen recvmmsg recvmsg sendmmsg sendmsg setsockopt socket "
    "socketpair "
    # other processes, and new ones: threads too
    "clone execve execveat fork get_robust_list ioprio_get ioprio_set kcmp migrate_pages move_pages process_vm_readv "
    "process_vm_writev ptrace rt_sigqueueinfo rt_tgsigqueueinfo sched_getattr sched_setaffinity sched_setattr sched_setparam "
    "sched_setscheduler setpgid setpriority setsid tkill vfork "
    # memory and queues shared by name
    "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop "
    "semtimedop shmat shmctl shmdt shmget "
    # who we are and what we may
    "acct add_key capset keyctl personality prctl request_key seccomp setdomainname setfsgid setfsuid setgid setgroups sethostname "
    "setns setregid setresgid setresuid setreuid setrlimit setuid umask unshare vhangup "
    # the machine, and parts of the kernel that scripts have no use for
    "_sysctl adjtimex afs_syscall bpf clock_adjtime clock_settime create_module delete_module finit_module get_kernel_syms "
    "get_mempolicy getpmsg init_module io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioperm iopl "
    "kexec_file_load kexec_load mbind modify_ldt mount nfsservctl perf_event_open pivot_root putpmsg query_module quotactl reboot "
    "remap_file_pages security set_mempolicy settimeofday swapoff swapon syslog timer_create timerfd_create tuxcall umount2 "
    "userfaultfd vserver "
)

NEEDED = _names(
    # memory
    "brk madvise mmap mprotect mremap munmap "
    # channels that are open
    "close fstat lseek poll ppoll pselect6 read readv select write writev "
    # time and waiting
    "clock_getres clock_gettime clock_nanosleep futex gettimeofday nanosleep pause sched_yield time times "
    # itself
    "exit exit_group getcpu getegid geteuid getgid getpid getppid getrandom getrlimit getrusage gettid getuid restart_syscall "
    "rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_getaffinity set_robust_list "
    "sigaltstack sysinfo uname "
)


class Architecture(NamedTuple):
    """`audit_number` is AUDIT_ARCH_* of linux/audit.h."""

    audit_number: int
    numbers: Mapping[str, int]


_NUMBERS = """
    _sysctl 156 -, accept 43 202, accept4 288 242, access 21 -, acct 163 89, add_key 248 217, adjtimex 159 171, afs_syscall 183 -,
    bind 49 200, bpf 321 280, brk 12 214, capset 126 91, chdir 80 49, chmod 90 -, chown 92 -, chroot 161 51, clock_adjtime 305 266,
    clock_getres 229 114, clock_gettime 228 113, clock_nanosleep 230 115, clock_settime 227 112, clone 56 220, close 3 57, connect 42 203,
    copy_file_range 326 285, creat 85 -, create_module 174 -, delete_module 176 106, execve 59 221, execveat 322 281, exit 60 93,
    exit_group 231 94, faccessat 269 48, fallocate 285 47, fanotify_init 300 262, fanotify_mark 301 263, fchdir 81 50, fchmod 91 52,
    fchmodat 268 53, fchown 93 55, fchownat 260 54, fcntl 72 25, fgetxattr 193 10, finit_module 313 273, flistxattr 196 13, flock 73 32,
    fork 57 -, fremovexattr 199 16, fsetxattr 190 7, fstat 5 80, fstatfs 138 44, ftruncate 77 46, futex 202 98, futimesat 261 -,
    get_kernel_syms 177 -, get_mempolicy 239 236, get_robust_list 274 100, getcpu 309 168, getcwd 79 17, getdents 78 -, getdents64 217 61,
    getegid 108 177, geteuid 107 175, getgid 104 176, getpeername 52 205, getpid 39 172, getpmsg 181 -, getppid 110 173,
    getrandom 318 278, getrlimit 97 163, getrusage 98 165, getsockname 51 204, getsockopt 55 209, gettid 186 178, gettimeofday 96 169,
    getuid 102 174, getxattr 191 8, init_module 175 105, inotify_add_watch 254 27, inotify_init 253 -, inotify_init1 294 26,
    inotify_rm_watch 255 28, io_cancel 210 3, io_destroy 207 1, io_getevents 208 4, io_pgetevents 333 292, io_setup 206 0,
    io_submit 209 2, ioctl 16 29, ioperm 173 -, iopl 172 -, ioprio_get 252 31, ioprio_set 251 30, kcmp 312 272, kexec_file_load 320 294,
    kexec_load 246 104, keyctl 250 219, kill 62 129, lchown 94 -, lgetxattr 192 9, link 86 -, linkat 265 37, listen 50 201,
    listxattr 194 11, llistxattr 195 12, lookup_dcookie 212 18, lremovexattr 198 15, lseek 8 62, lsetxattr 189 6, lstat 6 -,
    madvise 28 233, mbind 237 235, memfd_create 319 279, migrate_pages 256 238, mkdir 83 -, mkdirat 258 34, mknod 133 -, mknodat 259 33,
    mmap 9 222, modify_ldt 154 -, mount 165 40, move_pages 279 239, mprotect 10 226, mq_getsetattr 245 185, mq_notify 244 184,
    mq_open 240 180, mq_timedreceive 243 183, mq_timedsend 242 182, mq_unlink 241 181, mremap 25 216, msgctl 71 187, msgget 68 186,
    msgrcv 70 188, msgsnd 69 189, munmap 11 215, name_to_handle_at 303 264, nanosleep 35 101, newfstatat 262 79, nfsservctl 180 42,
    open 2 -, open_by_handle_at 304 265, openat 257 56, pause 34 -, perf_event_open 298 241, personality 135 92, pivot_root 155 41,
    poll 7 -, ppoll 271 73, prctl 157 167, prlimit64 302 261, process_vm_readv 310 270, process_vm_writev 311 271, pselect6 270 72,
    ptrace 101 117, putpmsg 182 -, query_module 178 -, quotactl 179 60, read 0 63, readlink 89 -, readlinkat 267 78, readv 19 65,
    reboot 169 142, recvmmsg 299 243, recvmsg 47 212, remap_file_pages 216 234, removexattr 197 14, rename 82 -, renameat 264 38,
    renameat2 316 276, request_key 249 218, restart_syscall 219 128, rmdir 84 -, rt_sigaction 13 134, rt_sigpending 127 136,
    rt_sigprocmask 14 135, rt_sigqueueinfo 129 138, rt_sigreturn 15 139, rt_sigsuspend 130 133, rt_sigtimedwait 128 137,
    rt_tgsigqueueinfo 297 240, sched_getaffinity 204 123, sched_getattr 315 275, sched_setaffinity 203 122, sched_setattr 314 274,
    sched_setparam 142 118, sched_setscheduler 144 119, sched_yield 24 124, seccomp 317 277, security 185 -, select 23 -, semctl 66 191,
    semget 64 190, semop 65 193, semtimedop 220 192, sendfile 40 71, sendmmsg 307 269, sendmsg 46 211, set_mempolicy 238 237,
    set_robust_list 273 99, setdomainname 171 162, setfsgid 123 152, setfsuid 122 151, setgid 106 144, setgroups 116 159,
    sethostname 170 161, setns 308 268, setpgid 109 154, setpriority 141 140, setregid 114 143, setresgid 119 149, setresuid 117 147,
    setreuid 113 145, setrlimit 160 164, setsid 112 157, setsockopt 54 208, settimeofday 164 170, setuid 105 146, setxattr 188 5,
    shmat 30 196, shmctl 31 195, shmdt 67 197, shmget 29 194, sigaltstack 131 132, socket 41 198, socketpair 53 199, splice 275 76,
    stat 4 -, statfs 137 43, statx 332 291, swapoff 168 225, swapon 167 224, symlink 88 -, symlinkat 266 36, sync 162 81,
    sync_file_range 277 84, syncfs 306 267, sysfs 139 -, sysinfo 99 179, syslog 103 116, tee 276 77, tgkill 234 131, time 201 -,
    timer_create 222 107, timerfd_create 283 85, times 100 153, tkill 200 130, truncate 76 45, tuxcall 184 -, umask 95 166,
    umount2 166 39, uname 63 160, unlink 87 -, unlinkat 263 35, unshare 272 97, uselib 134 -, userfaultfd 323 282, ustat 136 -,
    utime 132 -, utimensat 280 88, utimes 235 -, vfork 58 -, vhangup 153 58, vmsplice 278 75, vserver 236 -, write 1 64, writev 20 66,
"""
"""Name, x86-64, aarch64; a dash where it is not."""


def _column(at: int) -> dict[str, int]:
    rows = [row.split() for row in _NUMBERS.split(",") if row.strip()]
    return {row[0]: int(row[at]) for row in rows if row[at] != "-"}


ARCHITECTURES = {"x86_64": Architecture(0xC000003E, _column(1)), "aarch64": Architecture(0xC00000B7, _column(2))}
