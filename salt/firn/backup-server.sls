# The backup server: the sshd for pushes, the units that judge and tell, and a jail for each host that the Mine tells of.
{% from "firn/map.jinja" import names with context %}
{% from "firn/package.jinja" import package with context %}
{% set firn = salt['firn_fleet.server']() %}

{{ package(firn, names.server_needs + [names.sshd, names.ssh]) }}

/etc/firn/server.toml:
  file.managed:
    - contents: {{ firn.settings | json }}
    - user: root
    - group: root
    - mode: '0644'
    - require:
      - pkg: {{ firn.package.name }}

/etc/firn/sshd_config.d/50-salt.conf:
  firn.sshd:
    - lines: {{ firn.listen | json }}
    - require:
      - pkg: {{ firn.package.name }}

# A change of its key that was cut off.
firn_server_key_change:
  firn.server_settled:
    - require:
      - pkg: {{ firn.package.name }}

firn-sshd.service:
  service.running:
    - enable: true
    - reload: true
    - require:
      - pkg: {{ firn.package.name }}
    - watch:
      - firn: /etc/firn/sshd_config.d/50-salt.conf
      - firn: firn_server_key_change

firn_keys.server:
  firn.published:
    - require:
      - service: firn-sshd.service

# What is wrong in the Mine stops this, and with it no host is touched.
firn_hosts:
  firn.hosts:
    - require:
      - file: /etc/firn/server.toml
      - pkg: {{ firn.package.name }}

firn-ingest.service:
  service.running:
    - enable: true
    - require:
      - file: /etc/firn/server.toml
      - pkg: {{ firn.package.name }}
    - watch:
      - file: /etc/firn/server.toml

firn-status.timer:
  service.running:
    - enable: true
    - require:
      - file: /etc/firn/server.toml
      - pkg: {{ firn.package.name }}

firn-verify.timer:
  service.running:
    - enable: true
    - require:
      - file: /etc/firn/server.toml
      - pkg: {{ firn.package.name }}

{% if firn.appliances %}
# What is taken from appliances is read by push-client. Not by the name of the package: the machine may be a host of another server.
firn_client_for_appliances:
  pkg.installed:
    {%- if firn.appliances.source %}
    - sources:
      - {{ firn.appliances.name }}: {{ firn.appliances.source | json }}
    {%- else %}
    - name: {{ firn.appliances.name }}
    {%- if firn.appliances.version %}
    - version: {{ firn.appliances.version | json }}
    {%- endif %}
    {%- endif %}

firn-take.timer:
  service.running:
    - enable: true
    - require:
      - file: /etc/firn/server.toml
      - pkg: {{ firn.package.name }}
      - pkg: firn_client_for_appliances
{% endif %}

firn-prune.timer:
  service.running:
    - enable: true
    - require:
      - file: /etc/firn/server.toml
      - pkg: {{ firn.package.name }}
