{{- define "flannel.labels" -}}
app: flannel
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end -}}

{{/* An image with its registry: call with (dict "top" . "image" .Values.x). A repository that names a registry keeps it. */}}
{{- define "flannel.image" -}}
{{- $global := .top.Values.global | default dict -}}
{{- $registry := $global.systemDefaultRegistry | default ($global.cattle).systemDefaultRegistry | default "index.docker.io" -}}
{{- $first := .image.repository | splitList "/" | first -}}
{{- $own := and (contains "/" .image.repository) (regexMatch "[.:]|^localhost$" $first) -}}
{{- $name := ternary .image.repository (printf "%s/%s" (trimSuffix "/" $registry) .image.repository) $own -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .top.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Pods' addresses of one family: call with (dict "top" . "six" true). clusterCIDR may hold both, in any order. */}}
{{- define "flannel.network" -}}
{{- $global := .top.Values.global | default dict -}}
{{- $found := "" -}}
{{- range $one := $global.clusterCIDR | default "" | replace " " "" | splitList "," -}}
{{- if and $one (eq (contains ":" $one) $.six) -}}{{- $found = $one -}}{{- end -}}
{{- end -}}
{{- if .six -}}
{{- .top.Values.podCidrv6 | default $global.clusterCIDRv6 | default $found -}}
{{- else -}}
{{- .top.Values.podCidr | default $global.clusterCIDRv4 | default $found -}}
{{- end -}}
{{- end -}}

{{/* Where the apiserver answers; `loopback` is that of the nodes' first family. */}}
{{- define "flannel.host" -}}
{{- $first := (.top.Values.global | default dict).clusterCIDR | default "" | splitList "," | first -}}
{{- ternary (ternary "::1" "127.0.0.1" (contains ":" $first)) .host (eq .host "loopback") -}}
{{- end -}}

{{/* flanneld's own configuration, as JSON. */}}
{{- define "flannel.conf" -}}
{{- $four := include "flannel.network" (dict "top" . "six" false) -}}
{{- $six := include "flannel.network" (dict "top" . "six" true) -}}
{{- if not (or $four $six) -}}{{- $four = "10.42.0.0/16" -}}{{- end -}}
{{- $flannel := .Values.flannel -}}
{{- $backend := dict "Type" $flannel.backend -}}
{{- if $flannel.backendPort -}}{{- $_ := set $backend "Port" (int $flannel.backendPort) -}}{{- end -}}
{{- if $flannel.mtu -}}{{- $_ := set $backend "MTU" (int $flannel.mtu) -}}{{- end -}}
{{- if $flannel.vni -}}{{- $_ := set $backend "VNI" (int $flannel.vni) -}}{{- end -}}
{{- if $flannel.directRouting -}}{{- $_ := set $backend "DirectRouting" true -}}{{- end -}}
{{- if $flannel.macPrefix -}}{{- $_ := set $backend "MacPrefix" $flannel.macPrefix -}}{{- end -}}
{{- $conf := dict "EnableNFTables" $flannel.enableNFTables "Backend" $backend -}}
{{- if $four -}}{{- $_ := set $conf "Network" $four -}}{{- else -}}{{- $_ := set $conf "EnableIPv4" false -}}{{- end -}}
{{- if $six -}}{{- $_ := set $conf "EnableIPv6" true -}}{{- $_ := set $conf "IPv6Network" $six -}}{{- end -}}
{{- toPrettyJson $conf -}}
{{- end -}}
