package main

import (
	"fmt"
	"strings"
)

// A release is the latest revision that the cluster knows of one; the zero value is none.
type release struct {
	revision int64
	status   string // as helm names it: deployed, failed, pending-install, ...
	hash     string // of the configuration that it was made from
	object   string // the Secret or ConfigMap that holds the revision
}

// A step towards what was asked.
type step int

const (
	upgrade      step = iota // or install
	uninstall                // and wait for it
	dropRevision             // forget a revision that was begun and not ended
)

type decision struct {
	steps   []step
	refused bool
	why     string
}

// decide says what to do with a release, and touches nothing.
//
// A job's pod is restarted until it succeeds, so each answer must be right for the second and the hundredth time.
func decide(asked request, found release) decision {
	if asked.action == "delete" {
		if found.revision == 0 {
			return decision{why: "there is no release"}
		}
		return decision{steps: []step{uninstall}, why: "deleting"}
	}
	switch {
	case found.revision == 0:
		return decision{steps: []step{upgrade}, why: "installing"}
	case found.status == "deployed" && found.hash == asked.hash && asked.hash != "":
		return decision{why: "it is as it should be"} // an earlier run of this pod got there
	case found.revision > asked.expected && found.hash != asked.hash:
		// Somebody else was faster, with other values. The controller sees that too, and makes another job.
		return decision{refused: true, why: fmt.Sprintf("revision %d was made by somebody else", found.revision)}
	case strings.HasPrefix(found.status, "pending-"):
		// helm refuses to go on after a revision whose helm was killed. Its objects carry the release's name, so
		// without the record they are taken over, and the revision before it is the latest again.
		return decision{steps: []step{dropRevision, upgrade}, why: "going on after an interrupted run"}
	case found.status == "uninstalling":
		return decision{steps: []step{uninstall, upgrade}, why: "ending an interrupted deletion, then installing"}
	case found.status == "failed":
		return decideFailed(asked)
	}
	return decision{steps: []step{upgrade}, why: "upgrading"}
}

func decideFailed(asked request) decision {
	switch asked.policy {
	case "abort":
		return decision{refused: true, why: "the release failed, and its failure policy is abort"}
	case "retry":
		return decision{steps: []step{upgrade}, why: "trying again after a failure"}
	}
	return decision{steps: []step{uninstall, upgrade}, why: "installing anew after a failure"}
}
