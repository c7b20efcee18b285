//go:build linux || darwin

package main

import "github.com/spillway/spillway/workflow"

// The part of SARIF 2.1.0 (OASIS, 2020) that code hosts show as annotations.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

// sarif describes findings as a SARIF log; each rule that occurs is declared once.
func sarif(findings workflow.Errors) sarifLog {
	run := sarifRun{
		Tool:    sarifTool{sarifDriver{Name: "spillway", Version: buildVersion().Version, Rules: []sarifRule{}}},
		Results: []sarifResult{},
	}
	declared := map[workflow.Rule]bool{}
	for _, e := range findings {
		if !declared[e.Rule] {
			declared[e.Rule] = true
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{string(e.Rule)})
		}
		text := e.Message
		if e.Fix != "" {
			text += "; " + e.Fix
		}
		at := sarifPhysical{Artifact: sarifArtifact{e.File}}
		if e.Line > 0 {
			at.Region = &sarifRegion{e.Line, max(1, e.Col)}
		}
		run.Results = append(run.Results, sarifResult{string(e.Rule), "error", sarifText{text}, []sarifLocation{{at}}})
	}
	return sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
}
