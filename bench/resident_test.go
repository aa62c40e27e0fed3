package main

import (
	"os"
	"os/exec"
	"testing"
)

// Where there are both, ps and /proc agree, but for what happens in between.
func TestResident(t *testing.T) {
	t.Parallel()
	got, err := resident(t.Context(), os.Getpid())
	if err != nil || got < 1 || got > 10_000 {
		t.Fatalf("this process has %v MiB, %v", got, err)
	}
	if _, err := exec.LookPath("ps"); err != nil {
		t.Skip("there is no ps") // nor is it needed where there is /proc, which was tried above
	}
	other, err := residentOfPS(t.Context(), os.Getpid())
	if err != nil || other < got/2 || other > got*2 {
		t.Errorf("ps says %v MiB, not %v, %v", other, got, err)
	}
}

func TestResidentOfNobody(t *testing.T) {
	t.Parallel()
	const nobody = 1 << 30 // above every limit of process ids
	if got, err := resident(t.Context(), nobody); err == nil {
		t.Errorf("a process that is not there has %v MiB", got)
	}
}
