/* Runs a command, and stops it at one of the steps by which it makes things durable, or lets the disk be full from there on.
 *
 *   trace PLACE REPORT PLAN KIND LABEL N -- COMMAND...
 *
 * Steps are the system calls that change what is in the folder PLACE, whichever library makes them. Each has a kind (open,
 * write, cut, sync, name, remove, folder) and a label: the path in PLACE, in which the names of temporary files are "*".
 * REPORT has a line for each step that was taken ("KIND LABEL"), and "here" where the plan was carried out.
 *
 * PLAN says what becomes of the Nth step of KIND and LABEL: "before" and "after" kill the command there, "count" does nothing;
 * "full" lets that step and all later ones but removals fail with ENOSPC, "full-until-removed" until a file is removed
 * (then 64 KiB are free, once), "full-for-some" eight times. A write that meets the full disk first puts half of it there.
 *
 * The exit code is that of the command, 128 and the signal when it was killed, 120 when it cannot be run like this.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "neither x86_64 nor aarch64"
#endif

/* What a full disk leaves when a file was removed, in bytes. */
#define FREED (64 << 10)
/* How often a disk is full for some calls. */
#define SOME 8
#define MOST_STEPS 8192

enum kind { OPEN, WRITE, CUT, SYNC, NAME, REMOVE, FOLDER, KINDS };
static const char *const KIND[KINDS] = {"open", "write", "cut", "sync", "name", "remove", "folder"};

/* How a call names the file that it changes. */
enum how { BY_FD, BY_PATH, BY_FOLDER_AND_PATH };

struct call {
    long number;
    enum kind kind;
    enum how how;
    /* The argument with the descriptor or path; that of a folder stands before it. */
    int argument;
};

static const struct call CALLS[] = {
#ifdef __NR_open
    {__NR_open, OPEN, BY_PATH, 0},
#endif
#ifdef __NR_rename
    {__NR_rename, NAME, BY_PATH, 1},
#endif
#ifdef __NR_renameat
    {__NR_renameat, NAME, BY_FOLDER_AND_PATH, 3},
#endif
#ifdef __NR_link
    {__NR_link, NAME, BY_PATH, 1},
#endif
#ifdef __NR_unlink
    {__NR_unlink, REMOVE, BY_PATH, 0},
#endif
#ifdef __NR_rmdir
    {__NR_rmdir, REMOVE, BY_PATH, 0},
#endif
#ifdef __NR_mkdir
    {__NR_mkdir, FOLDER, BY_PATH, 0},
#endif
    {__NR_openat, OPEN, BY_FOLDER_AND_PATH, 1},
    {__NR_write, WRITE, BY_FD, 0},
    {__NR_pwrite64, WRITE, BY_FD, 0},
    {__NR_writev, WRITE, BY_FD, 0},
    {__NR_ftruncate, CUT, BY_FD, 0},
    {__NR_fsync, SYNC, BY_FD, 0},
    {__NR_fdatasync, SYNC, BY_FD, 0},
    {__NR_renameat2, NAME, BY_FOLDER_AND_PATH, 3},
    {__NR_linkat, NAME, BY_FOLDER_AND_PATH, 3},
    {__NR_unlinkat, REMOVE, BY_FOLDER_AND_PATH, 1},
    {__NR_mkdirat, FOLDER, BY_FOLDER_AND_PATH, 1},
};
#define N_CALLS ((int)(sizeof CALLS / sizeof CALLS[0]))

static char place[PATH_MAX];
static FILE *report;
static char *steps[MOST_STEPS];
static int n_steps;

static int fail(const char *what) {
    fprintf(stderr, "trace: %s: %s\n", what, strerror(errno));
    return 120;
}

/* In the child: only these calls are stopped at. */
static int filter(void) {
    struct sock_filter code[2 * N_CALLS + 8];
    int n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < N_CALLS; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)CALLS[i].number, 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

/* The target of a link in /proc/PID; empty when there is none. */
static void linked(pid_t pid, const char *rest, char *into) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, rest);
    ssize_t length = readlink(path, into, PATH_MAX - 1);
    into[length < 0 ? 0 : length] = 0;
}

/* Reads a path in the memory of the command, which may end just before a page that is not there. */
static void text(pid_t pid, unsigned long from, char *into) {
    size_t have = 0;
    while (have < PATH_MAX - 1) {
        size_t rest = 4096 - ((from + have) & 4095);
        if (rest > PATH_MAX - 1 - have) rest = PATH_MAX - 1 - have;
        struct iovec here = {into + have, rest}, there = {(void *)(from + have), rest};
        if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)rest) break;
        if (memchr(into + have, 0, rest)) return;
        have += rest;
    }
    into[have] = 0;
}

/* The label of what a call changes; none when it is not in the place. */
static int label(pid_t pid, const struct call *call, const __u64 *args, char *into) {
    char path[2 * PATH_MAX] = "", name[PATH_MAX], folder[PATH_MAX] = "", rest[32];
    int at = call->argument;
    if (call->how == BY_FD) {
        snprintf(rest, sizeof rest, "fd/%d", (int)args[at]);
        linked(pid, rest, path);
    } else {
        text(pid, args[at], name);
        if (name[0] != '/') {
            int fd = call->how == BY_FOLDER_AND_PATH ? (int)args[at - 1] : AT_FDCWD;
            snprintf(rest, sizeof rest, "fd/%d", fd);
            linked(pid, fd == AT_FDCWD ? "cwd" : rest, folder);
        }
        snprintf(path, sizeof path, "%s%s%s", folder, folder[0] ? "/" : "", name);
    }
    size_t length = strlen(place);
    if (strncmp(path, place, length) != 0 || (path[length] != '/' && path[length] != 0)) return 0;
    char *out = into;
    *out = 0;
    for (char *part = strtok(path + length, "/"); part; part = strtok(NULL, "/")) {
        if (strcmp(part, ".") == 0) continue;
        if (out != into) *out++ = '/';
        out += sprintf(out, "%s", strncmp(part, ".lote-", 6) == 0 ? "*" : part);
    }
    if (out == into) sprintf(into, ".");
    return 1;
}

#if defined(__x86_64__)
static int give_up(pid_t pid, long error) {
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, pid, 0, &regs) != 0) return -1;
    regs.orig_rax = (unsigned long long)-1;
    regs.rax = (unsigned long long)error;
    return (int)ptrace(PTRACE_SETREGS, pid, 0, &regs);
}
static int shorten(pid_t pid, unsigned long length) {
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, pid, 0, &regs) != 0) return -1;
    regs.rdx = length;
    return (int)ptrace(PTRACE_SETREGS, pid, 0, &regs);
}
#else
static int give_up(pid_t pid, long error) {
    struct user_regs_struct regs;
    int none = -1;
    struct iovec all = {&regs, sizeof regs}, number = {&none, sizeof none};
    if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all) != 0) return -1;
    regs.regs[0] = (unsigned long long)error;
    if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &all) != 0) return -1;
    return (int)ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &number);
}
static int shorten(pid_t pid, unsigned long length) {
    struct user_regs_struct regs;
    struct iovec all = {&regs, sizeof regs};
    if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all) != 0) return -1;
    regs.regs[2] = length;
    return (int)ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &all);
}
#endif

/* The disk. */
static int full;
static int until_removed;
static long left = -1;
static long room;

/* Whether a call finds the disk full; a write may get half of its bytes there before. */
static int finds_no_room(pid_t pid, const struct call *call, const __u64 *args, int first) {
    if (call->kind == REMOVE) {
        if (until_removed) {
            until_removed = 0;
            room = FREED;
        }
        return 0;
    }
    if (left >= 0 && left-- == 0) {
        full = 0;
        return 0;
    }
    long wanted = call->kind == WRITE && call->number != __NR_writev ? (long)args[2] : 0;
    if (room >= wanted && room > 0) {
        room -= wanted;
        return 0;
    }
    if (first && wanted > 1) {
        shorten(pid, (unsigned long)wanted / 2);
        return 0;
    }
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 9 || strcmp(argv[7], "--") != 0) {
        fprintf(stderr, "trace PLACE REPORT PLAN KIND LABEL N -- COMMAND...\n");
        return 120;
    }
    const char *plan = argv[3], *kind = argv[4], *wanted = argv[5];
    int nth = atoi(argv[6]), met = 0, in_exit = 0;
    if (!realpath(argv[1], place)) return fail(argv[1]);
    report = fopen(argv[2], "w");
    if (!report) return fail(argv[2]);
    pid_t child = fork();
    if (child < 0) return fail("fork");
    if (child == 0) {
        fcntl(fileno(report), F_SETFD, FD_CLOEXEC);
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(fail("ptrace"));
        raise(SIGSTOP);
        if (filter() != 0) _exit(fail("seccomp"));
        execvp(argv[8], argv + 8);
        _exit(fail(argv[8]));
    }
    int status;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return fail("waitpid");
    long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD;
    if (ptrace(PTRACE_SETOPTIONS, child, 0, options) != 0) return fail("ptrace");
    ptrace(PTRACE_CONT, child, 0, 0);
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) {
            if (errno == EINTR) continue;
            return fail("waitpid");
        }
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid != child) continue;
            fclose(report);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int signal = WSTOPSIG(status), event = status >> 16;
        if (signal == (SIGTRAP | 0x80)) {
            /* The end of the one call that was to be seen to its end. */
            if (in_exit) kill(child, SIGKILL);
            ptrace(PTRACE_CONT, pid, 0, 0);
            continue;
        }
        if (event != PTRACE_EVENT_SECCOMP) {
            int handed_on = event == 0 && signal != SIGSTOP && signal != SIGTRAP ? signal : 0;
            ptrace(PTRACE_CONT, pid, 0, handed_on);
            continue;
        }
        struct __ptrace_syscall_info info;
        char what[2 * PATH_MAX], step[2 * PATH_MAX + 16];
        const struct call *call = NULL;
        if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0) {
            for (int i = 0; i < N_CALLS; i++) {
                if ((long)info.seccomp.nr == CALLS[i].number) call = &CALLS[i];
            }
        }
        __u64 args[6];
        if (call) memcpy(args, info.seccomp.args, sizeof args);
        if (!call || (call->kind == OPEN && !(args[call->argument + 1] & (O_CREAT | O_TRUNC))) ||
            !label(pid, call, args, what)) {
            ptrace(PTRACE_CONT, pid, 0, 0);
            continue;
        }
        snprintf(step, sizeof step, "%s %s", KIND[call->kind], what);
        int times = 1;
        for (int i = 0; i < n_steps; i++) times += strcmp(steps[i], step) == 0;
        if (n_steps < MOST_STEPS) steps[n_steps++] = strdup(step);
        fprintf(report, "%s\n", step);
        int here = !met && strcmp(KIND[call->kind], kind) == 0 && strcmp(what, wanted) == 0 && times == nth &&
                   strcmp(plan, "count") != 0;
        if (here) {
            met = 1;
            fprintf(report, "here\n");
            fflush(report);
            if (strcmp(plan, "before") == 0) kill(child, SIGKILL);
            if (strcmp(plan, "after") == 0) {
                in_exit = 1;
                ptrace(PTRACE_SYSCALL, pid, 0, 0);
                continue;
            }
            if (strncmp(plan, "full", 4) == 0) {
                full = 1;
                until_removed = strcmp(plan, "full-until-removed") == 0;
                if (strcmp(plan, "full-for-some") == 0) left = SOME;
            }
        }
        if (full && finds_no_room(pid, call, args, here)) give_up(pid, -ENOSPC);
        ptrace(PTRACE_CONT, pid, 0, 0);
    }
}
