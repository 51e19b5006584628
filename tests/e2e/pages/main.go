// pages holds what kube-proxy's health and metrics servers answer against what sluice's do:
//
//	pages ask FILE               asks the servers on this host everything, and writes down the answers
//	pages compare FILE FILE      kube-proxy's first, sluice's second; each difference is a line
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "ask":
		err = writeAnswers(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "compare":
		err = compareFiles(os.Args[2], os.Args[3])
	default:
		fmt.Fprintln(os.Stderr, "usage: pages ask FILE | compare FILE FILE")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "pages: %v\n", err)
		os.Exit(1)
	}
}

func writeAnswers(path string) error {
	answers := map[string]answer{}
	for _, q := range questions() {
		a, err := q.ask()
		if err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
		answers[q.String()] = a
	}
	text, err := json.Marshal(answers)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func readAnswers(path string) (answers map[string]answer, err error) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &answers)
	}
	return answers, err
}

func compareFiles(theirsPath, oursPath string) error {
	theirs, err := readAnswers(theirsPath)
	if err != nil {
		return err
	}
	ours, err := readAnswers(oursPath)
	if err != nil {
		return err
	}
	differences := 0
	for _, q := range questions() {
		for _, d := range q.compare(theirs[q.String()], ours[q.String()]) {
			differences++
			fmt.Printf("%s: %s\n", q, d)
		}
	}
	fmt.Printf("%d questions, %d differences\n", len(questions()), differences)
	if differences > 0 {
		return fmt.Errorf("the answers differ")
	}
	return nil
}
