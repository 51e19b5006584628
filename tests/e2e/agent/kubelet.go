package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// kubelet watches Pods and runs them; it is scheduler, network plugin and kubelet of all nodes.
// A Pod is one goroutine, from its binding to its deletion.
type kubeletState struct {
	client kubernetes.Interface
	nodes  []*node
	drain  time.Duration

	lock    sync.Mutex
	next    int
	leaving map[string]chan struct{} // by UID; closed once the Pod is to go
}

func kubelet(args []string) error {
	flags := flag.NewFlagSet("kubelet", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "an admin's")
	nodes := flags.String("nodes", "", "NAME=NAMESPACE=INDEX, ..., the nodes to play and their network namespaces")
	drain := flags.Duration("drain", 3*time.Second, "how long a Pod accepts connections after its deletion, as a preStop hook")
	_ = flags.Parse(args)

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	state := &kubeletState{client: client, drain: *drain, leaving: map[string]chan struct{}{}}
	for _, text := range strings.Split(*nodes, ",") {
		parts := strings.Split(text, "=")
		if len(parts) != 3 {
			return fmt.Errorf("-nodes: %q is not NAME=NAMESPACE=INDEX", text)
		}
		state.nodes = append(state.nodes, newNode(parts[0], parts[1], parts[2]))
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Pods().Informer()
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { state.observe(object.(*v1.Pod)) },
		UpdateFunc: func(_, object any) { state.observe(object.(*v1.Pod)) },
		DeleteFunc: func(object any) {
			if pod, ok := object.(*v1.Pod); ok {
				state.leave(string(pod.UID))
			}
		},
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return errors.New("no list of Pods")
	}
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}

func (k *kubeletState) observe(pod *v1.Pod) {
	uid := string(pod.UID)
	if pod.DeletionTimestamp != nil {
		k.leave(uid)
		return
	}
	k.lock.Lock()
	defer k.lock.Unlock()
	if k.leaving[uid] != nil {
		return
	}
	gone := make(chan struct{})
	k.leaving[uid] = gone
	where := k.choose(pod)
	go func() {
		if err := k.live(pod, where, gone); err != nil {
			log.Printf("pod %s/%s: %v", pod.Namespace, pod.Name, err)
		}
	}()
}

func (k *kubeletState) leave(uid string) {
	k.lock.Lock()
	defer k.lock.Unlock()
	gone := k.leaving[uid]
	if gone == nil {
		return
	}
	select {
	case <-gone:
	default:
		close(gone)
	}
}

// choose takes the node that the Pod names, else the next one.
func (k *kubeletState) choose(pod *v1.Pod) *node {
	wanted := pod.Spec.NodeName
	if wanted == "" {
		wanted = pod.Spec.NodeSelector["kubernetes.io/hostname"]
	}
	for _, n := range k.nodes {
		if n.name == wanted {
			return n
		}
	}
	k.next++
	return k.nodes[k.next%len(k.nodes)]
}

// insist tries until it works or there is no such object any more; the API server may be away for a while.
func insist(what string, try func(ctx context.Context) error) error {
	var err error
	for range 600 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err = try(ctx)
		cancel()
		if err == nil || notFound(err) {
			return err
		}
		time.Sleep(300 * time.Millisecond)
	}
	fmt.Fprintf(os.Stderr, "gave up: %s: %v\n", what, err)
	return err
}
