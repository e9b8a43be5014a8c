{{- define "metrics-server.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "metrics-server.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "metrics-server.labels" -}}
{{ include "metrics-server.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "metrics-server.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "metrics-server.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* An image with its registry: call with (dict "top" . "image" .Values.x). A repository that names a registry keeps it. */}}
{{- define "metrics-server.image" -}}
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
