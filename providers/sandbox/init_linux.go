package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Init turns this process into an instance when the sandbox re-executed the program for one; it does not return
// then. Otherwise it does nothing. Programs that call Serve call it first in main.
func Init() {
	if len(os.Args) != 2 || os.Args[0] != initName {
		return
	}
	runtime.LockOSThread() // what follows is set thread by thread and kept by exec
	err := become(os.Args[1])
	fmt.Fprintln(os.Stderr, "sandbox: set up instance:", err)
	os.Exit(70)
}

// become sets up what text asks for and executes the function; it returns only on error.
func become(text string) error {
	var su setup
	if err := json.Unmarshal([]byte(text), &su); err != nil {
		return err
	}
	for _, path := range su.Cgroups {
		if err := os.WriteFile(path, []byte("0"), 0); err != nil {
			return fmt.Errorf("enter cgroup: %w", err)
		}
	}
	dir := su.Code
	if su.Root != "" {
		if err := enterRoot(su); err != nil {
			return err
		}
		dir = "/var/task"
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := dropPrivileges(su.UID); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", su.Args[0], syscall.Exec(su.Args[0], su.Args, os.Environ()))
}

// enterRoot assembles the function's file system in this process's own mount namespace and makes it the root.
func enterRoot(su setup) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	binds := []struct{ from, to string }{{su.Root, ""}, {su.Code, "var/task"}, {su.Scratch, "tmp"}}
	for _, name := range devices {
		binds = append(binds, struct{ from, to string }{"/dev/" + name, "dev/" + name})
	}
	for _, b := range binds {
		if err := unix.Mount(b.from, filepath.Join(su.Mount, b.to), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount /%s: %w", b.to, err)
		}
	}
	// Where an outer container hides parts of /proc the kernel refuses a fresh one; a function can do without.
	_ = unix.Mount("proc", filepath.Join(su.Mount, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	for _, to := range []string{"var/task", ""} {
		if err := readOnly(filepath.Join(su.Mount, to)); err != nil {
			return fmt.Errorf("make /%s read-only: %w", to, err)
		}
	}
	if err := os.Chdir(su.Mount); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil { // the old root is now on top of the new one
		return fmt.Errorf("pivot root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return os.Chdir("/")
}

// readOnly remounts path read-only, keeping the flags that a user namespace may not clear.
func readOnly(path string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return err
	}
	keep := uintptr(fs.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC |
		unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME)
	return unix.Mount("", path, "", keep|unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID, "")
}

// dropPrivileges becomes uid where that is asked for, and makes sure that no program gains anything again.
func dropPrivileges(uid int) error {
	if uid != 0 {
		if err := syscall.Setgroups(nil); err != nil {
			return fmt.Errorf("drop groups: %w", err)
		}
		if err := syscall.Setgid(uid); err != nil {
			return fmt.Errorf("drop group: %w", err)
		}
		if err := syscall.Setuid(uid); err != nil {
			return fmt.Errorf("drop user: %w", err)
		}
	}
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) // none held: nothing to clear
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	// A change of user clears the wish to die with the sandbox.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("die with the sandbox: %w", err)
	}
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
