{{/* Arguments: entry points, what is watched, what is told. */}}
{{- define "traefik.arguments" -}}
{{- $top := . -}}
{{- with .Values.globalArguments }}
{{ toYaml . }}
{{- end }}
{{- range $name, $port := .Values.ports }}
{{- if $port }}
{{- $entry := printf "--entryPoints.%s" $name }}
- {{ printf "%s.address=:%d/%s" $entry (int $port.port) ($port.protocol | default "TCP" | lower) }}
{{- if $port.asDefault }}
- {{ $entry }}.asDefault=true
{{- end }}
{{- with $port.redirectTo }}
- {{ printf "%s.http.redirections.entryPoint.to=%s" $entry (printf ":%d" (int (get $top.Values.ports .).exposedPort)) }}
- {{ printf "%s.http.redirections.entryPoint.scheme=https" $entry }}
{{- end }}
{{- if ($port.tls).enabled }}
- {{ printf "%s.http.tls=true" $entry }}
{{- end }}
{{- range $kind := list "forwardedHeaders" "proxyProtocol" }}
{{- with get $port $kind }}
{{- with .trustedIPs }}
- {{ printf "%s.%s.trustedIPs=%s" $entry $kind (join "," .) }}
{{- end }}
{{- if .insecure }}
- {{ printf "%s.%s.insecure=true" $entry $kind }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
- --ping=true
{{- with .Values.metrics.prometheus.entryPoint }}
- --metrics.prometheus=true
- --metrics.prometheus.entryPoint={{ . }}
{{- end }}
{{- with .Values.providers.kubernetesIngress }}
{{- if .enabled }}
- --providers.kubernetesIngress=true
{{- with .ingressClass }}
- --providers.kubernetesIngress.ingressClass={{ . }}
{{- end }}
{{- with .namespaces }}
- --providers.kubernetesIngress.namespaces={{ join "," . }}
{{- end }}
- --providers.kubernetesIngress.allowEmptyServices={{ .allowEmptyServices }}
- --providers.kubernetesIngress.allowExternalNameServices={{ .allowExternalNameServices }}
{{- if and .publishedService.enabled (or $top.Values.service.enabled .publishedService.pathOverride) }}
{{- $own := printf "%s/%s" $top.Release.Namespace (include "traefik.fullname" $top) }}
- --providers.kubernetesIngress.ingressEndpoint.publishedService={{ .publishedService.pathOverride | default $own }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.providers.kubernetesCRD.enabled }}
{{- fail "providers.kubernetesCRD: its definitions are not part of this chart" }}
{{- end }}
{{- if .Values.providers.file.enabled }}
- --providers.file.directory=/etc/traefik/dynamic
{{- end }}
- --log.level={{ .Values.logs.general.level }}
{{- with .Values.logs.general.format }}
- --log.format={{ . }}
{{- end }}
{{- if .Values.logs.access.enabled }}
- --accessLog=true
{{- with .Values.logs.access.format }}
- --accessLog.format={{ . }}
{{- end }}
{{- end }}
{{- with .Values.additionalArguments }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "traefik.pod" -}}
metadata:
  labels:
    {{- include "traefik.selectorLabels" . | nindent 4 }}
    {{- with .Values.deployment.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- with .Values.metrics.prometheus.entryPoint }}
    prometheus.io/scrape: "true"
    prometheus.io/path: /metrics
    prometheus.io/port: {{ (get $.Values.ports .).port | quote }}
    {{- end }}
    {{- if .Values.providers.file.enabled }}
    checksum/dynamic: {{ .Values.providers.file.content | sha256sum }}
    {{- end }}
    {{- with .Values.deployment.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "traefik.serviceAccountName" . }}
  automountServiceAccountToken: true
  terminationGracePeriodSeconds: {{ .Values.deployment.terminationGracePeriodSeconds }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with .Values.deployment.dnsPolicy }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
  {{- with get $.Values $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: traefik
      image: {{ include "traefik.image" (dict "top" . "image" .Values.image) | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        {{- include "traefik.arguments" . | trim | nindent 8 }}
      ports:
        {{- range $name, $port := .Values.ports }}
        {{- if $port }}
        - name: {{ $name }}
          containerPort: {{ $port.port }}
          protocol: {{ $port.protocol | default "TCP" }}
          {{- with $port.hostPort }}
          hostPort: {{ . }}
          {{- end }}
          {{- with $port.hostIP }}
          hostIP: {{ . }}
          {{- end }}
        {{- end }}
        {{- end }}
      {{- range $key := list "env" "envFrom" "resources" "securityContext" }}
      {{- with get $.Values $key }}
      {{ $key }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- range $key := list "readinessProbe" "livenessProbe" }}
      {{- with get $.Values $key }}
      {{ $key }}:
        httpGet: {path: /ping, port: traefik, scheme: HTTP}
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if .Values.providers.file.enabled }}
        - {name: dynamic, mountPath: /etc/traefik/dynamic, readOnly: true}
        {{- end }}
        {{- with .Values.additionalVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- if .Values.providers.file.enabled }}
    - name: dynamic
      configMap:
        name: {{ include "traefik.fullname" . }}
    {{- end }}
    {{- with .Values.deployment.additionalVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
