package main

import (
	"reflect"
	"testing"
)

func TestWhatIsDecided(t *testing.T) {
	const ours, other = "A1", "B2"
	cases := map[string]struct {
		action, policy string
		expected       int64
		found          release
		steps          []step
		refused        bool
	}{
		"nothing there":                   {"install", "retry", 0, release{}, []step{upgrade}, false},
		"gone since":                      {"install", "retry", 3, release{}, []step{upgrade}, false},
		"other values":                    {"install", "retry", 2, release{revision: 2, status: "deployed", hash: other}, []step{upgrade}, false},
		"made by helm's own command":      {"install", "retry", 2, release{revision: 2, status: "deployed"}, []step{upgrade}, false},
		"done by an earlier run":          {"install", "retry", 1, release{revision: 2, status: "deployed", hash: ours}, nil, false},
		"somebody was faster":             {"install", "retry", 1, release{revision: 2, status: "deployed", hash: other}, nil, true},
		"killed while installing":         {"install", "retry", 0, release{revision: 1, status: "pending-install", hash: ours}, []step{dropRevision, upgrade}, false},
		"killed while upgrading":          {"install", "abort", 1, release{revision: 2, status: "pending-upgrade", hash: ours}, []step{dropRevision, upgrade}, false},
		"killed after that was forgotten": {"install", "retry", 2, release{revision: 1, status: "deployed", hash: other}, []step{upgrade}, false},
		"another's run was killed":        {"install", "retry", 2, release{revision: 2, status: "pending-upgrade", hash: other}, []step{dropRevision, upgrade}, false},
		"killed while deleting":           {"install", "retry", 1, release{revision: 1, status: "uninstalling", hash: other}, []step{uninstall, upgrade}, false},
		"failed, reinstall":               {"install", "reinstall", 1, release{revision: 1, status: "failed", hash: other}, []step{uninstall, upgrade}, false},
		"failed, retry":                   {"install", "retry", 1, release{revision: 1, status: "failed", hash: other}, []step{upgrade}, false},
		"failed in this very job, retry":  {"install", "retry", 0, release{revision: 1, status: "failed", hash: ours}, []step{upgrade}, false},
		"failed, abort":                   {"install", "abort", 1, release{revision: 1, status: "failed", hash: other}, nil, true},
		"delete":                          {"delete", "retry", 0, release{revision: 4, status: "pending-upgrade"}, []step{uninstall}, false},
		"delete what is not there":        {"delete", "retry", 4, release{}, nil, false},
	}
	for name, one := range cases {
		t.Run(name, func(t *testing.T) {
			asked := request{action: one.action, policy: one.policy, expected: one.expected, hash: ours}
			got := decide(asked, one.found)
			if !reflect.DeepEqual(got.steps, one.steps) || got.refused != one.refused {
				t.Errorf("got %v refused=%v (%s), want %v refused=%v", got.steps, got.refused, got.why, one.steps, one.refused)
			}
		})
	}
}
