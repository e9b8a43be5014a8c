{{/* Name of all objects: the release's, with the chart's where that does not say it. */}}
{{- define "coredns.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "coredns.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
k8s-app: kube-dns
{{- end -}}

{{- define "coredns.labels" -}}
{{ include "coredns.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- with .Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "coredns.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "coredns.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "coredns.clusterDomain" -}}
{{- (.Values.global).clusterDomain | default "cluster.local" -}}
{{- end -}}

{{/* The image with its registry. A repository that names a registry itself (a dot or colon in its first part) keeps it. */}}
{{- define "coredns.image" -}}
{{- $global := .Values.global | default dict -}}
{{- $registry := $global.systemDefaultRegistry | default ($global.cattle).systemDefaultRegistry | default "index.docker.io" -}}
{{- $first := .Values.image.repository | splitList "/" | first -}}
{{- $own := and (contains "/" .Values.image.repository) (regexMatch "[.:]|^localhost$" $first) -}}
{{- $name := ternary .Values.image.repository (printf "%s/%s" (trimSuffix "/" $registry) .Values.image.repository) $own -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The service's addresses with commas between. */}}
{{- define "coredns.clusterIPs" -}}
{{- $value := .Values.service.clusterIP | default (.Values.global).clusterDNS | default "10.43.0.10" -}}
{{- $value | replace " " "" -}}
{{- end -}}

{{/* The ports of all server blocks, as JSON {"ports": [{port, udp, tcp}]}, each once. */}}
{{- define "coredns.ports" -}}
{{- $found := dict -}}
{{- range .Values.servers -}}
{{- $key := toString .port -}}
{{- $entry := get $found $key | default (dict "port" (int .port) "udp" false "tcp" false) -}}
{{- range .zones | default (list (dict "zone" ".")) -}}
{{- $scheme := .scheme | default "dns://" -}}
{{- if eq $scheme "dns://" -}}{{- $_ := set $entry "udp" true -}}{{- $_ := set $entry "tcp" true -}}
{{- else if eq $scheme "quic://" -}}{{- $_ := set $entry "udp" true -}}
{{- else -}}{{- $_ := set $entry "tcp" true -}}{{- end -}}
{{- end -}}
{{- $_ := set $found $key $entry -}}
{{- end -}}
{{- $ports := list -}}
{{- range $key := keys $found | sortAlpha -}}{{- $ports = append $ports (get $found $key) -}}{{- end -}}
{{- dict "ports" $ports | toJson -}}
{{- end -}}

{{/* The Corefile. A block stands on lines of its own: CoreDNS refuses `health { lameduck 5s }` in one line. */}}
{{- define "coredns.corefile" -}}
{{- $top := . -}}
{{- if not .Values.servers }}{{ fail "servers: want at least one server block" }}{{ end -}}
{{- range $number, $server := .Values.servers -}}
{{- $zones := $server.zones | default (list (dict "zone" ".")) -}}
{{- if $number }}{{ "\n" }}{{ end -}}
{{- range $index, $zone := $zones -}}
{{- if $index }} {{ end -}}
{{- $zone.scheme | default "" }}{{ $zone.zone }}:{{ $server.port -}}
{{- end }} {
{{- range $server.plugins }}
    {{ .name }}
    {{- if ne (toString (.parameters | default "")) "" }} {{ tpl (toString .parameters) $top | trim }}{{ end -}}
    {{- if .configBlock }} {
{{ tpl .configBlock $top | trim | indent 8 }}
    }
    {{- end }}
{{- end }}
{{- $root := false -}}
{{- range $zones }}{{ if eq .zone "." }}{{ $root = true }}{{ end }}{{ end -}}
{{- if and $root $top.Values.upstreamNameservers }}
    forward . {{ join " " $top.Values.upstreamNameservers }} {
        max_concurrent 1000
    }
    loop
{{- end }}
}
{{- end }}
{{- with .Values.extraConfig }}
{{ tpl . $top | trim }}
{{- end }}
{{- end -}}
