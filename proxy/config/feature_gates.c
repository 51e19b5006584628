/*
 * kube-proxy takes any gate of Kubernetes, since tools hand all components the same ones.  These
 * are the names that kube-proxy 1.36.3 knows, and of 1.37 those that are about kube-proxy.
 */
#include "proxy/config/feature_gates.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

/* Sorted by bytes. */
/* clang-format off */
static const char *const names[] = {
	"APIResponseCompression", "APIServerIdentity", "APIServerTracing",
	"APIServingWithRoutine", "AggregatedDiscoveryRemoveBetaType", "AllAlpha",
	"AllBeta", "AllowDNSOnlyNodeCSR",
	"AllowInsecureKubeletCertificateSigningRequests",
	"AllowOverwriteTerminationGracePeriodSeconds", "AllowParsingUserUIDFromCertAuth",
	"AllowServiceExternalIPs", "AllowUnsafeMalformedObjectDeletion",
	"AnonymousAuthConfigurableEndpoints", "AnyVolumeDataSource", "AtomicFIFO",
	"AuthorizeNodeWithSelectors", "AuthorizePodWebsocketUpgradeCreatePermission",
	"AuthorizeWithSelectors", "BtreeWatchCache", "CBORServingAndStorage",
	"CPUManagerPolicyAlphaOptions", "CPUManagerPolicyBetaOptions",
	"CPUManagerPolicyOptions", "CRDObservedGenerationTracking",
	"CRDValidationRatcheting", "CRIListStreaming", "CSIServiceAccountTokenSecrets",
	"CSIVolumeHealth", "ChangeContainerStatusOnKubeletRestart",
	"ClearingNominatedNodeNameAfterBinding", "ClientsAllowCARotation",
	"ClientsAllowCBOR", "ClientsAllowTLSCacheGC", "ClientsPreferCBOR",
	"CloudControllerManagerWatchBasedRoutesReconciliation",
	"CloudControllerManagerWebhook", "ClusterTrustBundle",
	"ClusterTrustBundleProjection", "ComponentFlagz", "ComponentStatusz",
	"ConcurrentWatchObjectDecode", "ConsistentListFromCache",
	"ConstrainedImpersonation", "ContainerCheckpoint", "ContainerRestartRules",
	"ContainerStopSignals", "ContextualLogging",
	"ControllerManagerReleaseLeaderElectionLockOnExit", "CoordinatedLeaderElection",
	"CrossNamespaceVolumeDataSource", "CustomCPUCFSQuotaPeriod",
	"CustomResourceFieldSelectors", "DRAAdminAccess", "DRAConsumableCapacity",
	"DRADeviceBindingConditions", "DRADeviceTaintRules", "DRADeviceTaints",
	"DRAExtendedResource", "DRAListTypeAttributes", "DRANodeAllocatableResources",
	"DRAPartitionableDevices", "DRAPrioritizedList", "DRAResourceClaimDeviceStatus",
	"DRAResourceClaimGranularStatusAuthorization", "DRAResourcePoolStatus",
	"DRASchedulerFilterTimeout", "DRAWorkloadResourceClaims",
	"DeclarativeValidation", "DeclarativeValidationBeta",
	"DeclarativeValidationTakeover", "DeploymentReplicaSetTerminatingReplicas",
	"DetectCacheInconsistency", "DisableAllocatorDualWrite",
	"DisableCPUQuotaWithExclusiveCPUs", "DisableNodeKubeProxyVersion",
	"DynamicResourceAllocation", "EnvFiles", "EventedPLEG", "ExecProbeTimeout",
	"ExtendWebSocketsToKubelet", "ExternalServiceAccountTokenSigner",
	"GangScheduling", "GenericWorkload", "GitRepoVolumeDriver",
	"GracefulNodeShutdown", "GracefulNodeShutdownBasedOnPodPriority",
	"HPAConfigurableTolerance", "HPAScaleToZero", "HostnameOverride",
	"ImageMaximumGCAge", "ImageVolume", "ImageVolumeWithDigest", "InOrderInformers",
	"InOrderInformersBatchProcess", "InPlacePodLevelResourcesVerticalScaling",
	"InPlacePodVerticalScaling", "InPlacePodVerticalScalingExclusiveCPUs",
	"InPlacePodVerticalScalingExclusiveMemory",
	"InPlacePodVerticalScalingInitContainers", "InformerResourceVersion",
	"JobBackoffLimitPerIndex", "JobManagedBy", "JobPodReplacementPolicy",
	"JobSuccessPolicy", "KMSv1", "KubeProxyIPVS",
	"KubeProxyNFTablesLocalhostNodePorts", "KubeletCgroupDriverFromCRI",
	"KubeletCrashLoopBackOffMax", "KubeletEnsureSecretPulledImages",
	"KubeletFineGrainedAuthz", "KubeletInUserNamespace", "KubeletPSI",
	"KubeletPodResourcesDynamicResources", "KubeletPodResourcesGet",
	"KubeletPodResourcesListUseActivePods", "KubeletRegistrationGetOnExistsOnly",
	"KubeletSeparateDiskGC", "KubeletServiceAccountTokenForCredentialProviders",
	"KubeletTracing", "ListFromCacheSnapshot",
	"LocalStorageCapacityIsolationFSQuotaMonitoring", "LogarithmicScaleDown",
	"LoggingAlphaOptions", "LoggingBetaOptions",
	"ManifestBasedAdmissionControlConfig", "MatchLabelKeysInPodAffinity",
	"MatchLabelKeysInPodTopologySpread",
	"MatchLabelKeysInPodTopologySpreadSelectorMerge", "MaxUnavailableStatefulSet",
	"MemoryQoS", "MultiCIDRServiceAllocator", "MutableCSINodeAllocatableCount",
	"MutablePVNodeAffinity", "MutablePodResourcesForSuspendedJobs",
	"MutableSchedulingDirectivesForSuspendedJobs", "MutatingAdmissionPolicy",
	"NFTablesProxyMode", "NativeHistograms", "NodeDeclaredFeatures",
	"NodeInclusionPolicyInPodTopologySpread", "NodeLogQuery", "NodeSwap",
	"NominatedNodeNameForExpectation", "OpenAPIEnums", "OpportunisticBatching",
	"OrderedNamespaceDeletion", "PLEGOnDemandRelist",
	"PersistentVolumeClaimUnusedSinceTime", "PodAndContainerStatsFromCRI",
	"PodCertificateRequest", "PodDeletionCost", "PodLevelResourceManagers",
	"PodLevelResources", "PodLifecycleSleepAction",
	"PodLifecycleSleepActionAllowZero", "PodLogsQuerySplitStreams",
	"PodObservedGenerationTracking", "PodReadyToStartContainersCondition",
	"PodSchedulingReadiness", "PodTopologyLabelsAdmission", "PodsAPI",
	"PortForwardWebsockets", "PreferSameTrafficDistribution",
	"PreventStaticPodAPIReferences", "ProcMountType", "QOSReserved",
	"RecoverVolumeExpansionFailure", "RecursiveReadOnlyMounts",
	"ReduceDefaultCrashLoopBackOffDecay", "RelaxedDNSSearchValidation",
	"RelaxedEnvironmentVariableValidation", "RelaxedServiceNameValidation",
	"ReloadKubeletClientCAFile", "ReloadKubeletServerCertificateFile",
	"RemoteRequestHeaderUID", "ResilientWatchCacheInitialization",
	"ResourceHealthStatus", "ResourceHealthStatusMessage",
	"RestartAllContainersOnContainerExits", "RetryGenerateName",
	"RotateKubeletServerCertificate", "RuntimeClassInImageCriApi",
	"SELinuxChangePolicy", "SELinuxMount", "SELinuxMountReadWriteOncePod",
	"SchedulerAsyncAPICalls", "SchedulerAsyncPreemption", "SchedulerPopFromBackoffQ",
	"SchedulerQueueingHints", "SeparateCacheWatchRPC",
	"SeparateTaintEvictionController", "ServiceAccountNodeAudienceRestriction",
	"ServiceAccountTokenJTI", "ServiceAccountTokenNodeBinding",
	"ServiceAccountTokenNodeBindingValidation", "ServiceAccountTokenPodNodeInfo",
	"ServiceCIDRStatusFieldWiping", "ShardedListAndWatch", "SidecarContainers",
	"SizeBasedListCostEstimate", "StaleControllerConsistencyDaemonSet",
	"StaleControllerConsistencyJob", "StaleControllerConsistencyReplicaSet",
	"StaleControllerConsistencyStatefulSet", "StatefulSetSemanticRevisionComparison",
	"StorageCapacityScoring", "StorageNamespaceIndex", "StorageVersionAPI",
	"StorageVersionHash", "StorageVersionMigrator",
	"StreamingCollectionEncodingToJSON", "StreamingCollectionEncodingToProtobuf",
	"StrictIPCIDRValidation", "StructuredAuthenticationConfiguration",
	"StructuredAuthenticationConfigurationEgressSelector",
	"StructuredAuthenticationConfigurationJWKSMetrics", "SupplementalGroupsPolicy",
	"TaintTolerationComparisonOperators", "TokenRequestServiceAccountUIDValidation",
	"TopologyAwareWorkloadScheduling", "TopologyManagerPolicyAlphaOptions",
	"TopologyManagerPolicyBetaOptions", "TopologyManagerPolicyOptions",
	"TranslateStreamCloseWebsocketRequests", "UnauthenticatedHTTP2DOSMitigation",
	"UnknownVersionInteroperabilityProxy", "UnlockWhileProcessingFIFO",
	"UserNamespacesHostNetworkSupport", "UserNamespacesSupport",
	"VolumeAttributesClass", "VolumeLimitScaling",
	"WatchCacheInitializationPostStartHook", "WatchList", "WatchListClient",
	"WinDSR", "WinOverlay", "WindowsCPUAndMemoryAffinity",
	"WindowsGracefulNodeShutdown", "WindowsHostNetwork", "WorkloadAwarePreemption",
	"WorkloadWithJob",
};
/* clang-format on */

static int compare(const void *key, const void *item)
{
	return strcmp(key, *(const char *const *)item);
}

bool feature_gate_is_known(const char *name)
{
	return bsearch(name, names, N_ELEMENTS(names), sizeof(names[0]), compare);
}
