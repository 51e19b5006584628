package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func notFound(err error) bool { return apierrors.IsNotFound(err) }

// live is a Pod's life: bound, wired, started, ready; and when it is to go: draining, not ready, ended, gone.
func (k *kubeletState) live(pod *v1.Pod, where *node, gone <-chan struct{}) error {
	pods := k.client.CoreV1().Pods(pod.Namespace)
	if pod.Spec.NodeName == "" {
		binding := &v1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID}, Target: v1.ObjectReference{Kind: "Node", Name: where.name}}
		if err := insist("bind", func(ctx context.Context) error { return pods.Bind(ctx, binding, metav1.CreateOptions{}) }); err != nil {
			return err
		}
	}
	wire, err := where.plug()
	if err != nil {
		return err
	}
	defer wire.unplug()
	backend, err := start(wire.namespace, pod.Name)
	if err != nil {
		return err
	}
	report := func(ready v1.ConditionStatus) error {
		patch := status(where, wire, ready)
		return insist("status", func(ctx context.Context) error {
			_, err := pods.Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
			return err
		})
	}
	err = report(v1.ConditionTrue)
	if err == nil {
		<-gone
		time.Sleep(k.drain)
		_ = report(v1.ConditionFalse) // it may have been deleted by force meanwhile
	}
	if err := backend.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := backend.Wait(); err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	now := int64(0)
	err = insist("delete", func(ctx context.Context) error {
		return pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	})
	if notFound(err) {
		return nil
	}
	return err
}

// start runs this program as the backend in the Pod's namespace and waits until it listens.
func start(namespace, name string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command("ip", "netns", "exec", namespace, self, "serve", "-name", name)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		return nil, fmt.Errorf("backend did not start: %q %v", line, err)
	}
	return command, nil
}

func status(where *node, wire *wire, ready v1.ConditionStatus) []byte {
	out, err := json.Marshal(map[string]any{"status": map[string]any{
		"phase": v1.PodRunning, "hostIP": where.address, "podIP": wire.v4,
		"podIPs": []v1.PodIP{{IP: wire.v4}, {IP: wire.v6}},
		"conditions": []v1.PodCondition{
			{Type: v1.ContainersReady, Status: ready, LastTransitionTime: metav1.Now()},
			{Type: v1.PodReady, Status: ready, LastTransitionTime: metav1.Now()},
		},
	}})
	if err != nil {
		panic(err) // plain data
	}
	return out
}
