# Ice: on the backup server, beside the state of that name. Settings, certificates and the vaults' credentials come from pillar and file server.
{% set firn = salt['firn_fleet.with_files']('iceboxer') %}

include:
  - firn.backup-server

{% for name, source in firn.files | dictsort %}
{{ ('/etc/firn/' ~ name) | json }}:
  file.managed:
    - source: {{ source | json }}
    - user: root
    - group: root
    - mode: '0644'
    - require:
      - pkg: {{ firn.package.name }}
    - require_in:
      - file: /etc/firn/ice.toml
{% endfor %}

/etc/firn/credentials:
  file.directory:
    - user: root
    - group: root
    - mode: '0700'
    - require:
      - pkg: {{ firn.package.name }}

# What Salt put there and the pillar no longer names. What a person brought stays.
{% for name in firn.gone %}
{{ ('/etc/firn/credentials/' ~ name) | json }}:
  file.absent:
    - require:
      - file: /etc/firn/credentials
    - require_in:
      - file: /etc/firn/credentials.salt
{% endfor %}

# First the name and then the file: what is there is always named, also after a run that was cut off.
/etc/firn/credentials.salt:
  file.managed:
    - contents: {{ (['# What Salt put into /etc/firn/credentials, and removes when the pillar no longer names it.'] + firn.credentials) | json }}
    - user: root
    - group: root
    - mode: '0600'
    - require:
      - file: /etc/firn/credentials

{% for name in firn.credentials %}
{{ ('/etc/firn/credentials/' ~ name) | json }}:
  file.managed:
    - contents_pillar: {{ ('firn:ice:credentials:' ~ name) | json }}
    - user: root
    - group: root
    - mode: '0400'
    - show_changes: false
    - require:
      - file: /etc/firn/credentials.salt
    - require_in:
      - file: /etc/firn/ice.toml
{% endfor %}

/etc/firn/ice.toml:
  file.managed:
    - contents: {{ firn.settings | json }}
    - user: root
    - group: root
    - mode: '0644'
    - require:
      - file: /etc/firn/credentials

# Days 1 and 15.
firn-ice.timer:
  service.running:
    - enable: true
    - require:
      - file: /etc/firn/ice.toml
