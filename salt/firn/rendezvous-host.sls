# A host that may call nobody, besides push-client: its sshd lets the server open one port of the loopback, and nothing else (docs/rendezvous.md).
# What is allowed is printed by push-client itself, so that its audit knows it again.
{% from "firn/map.jinja" import names with context %}
{% set firn = salt['firn_fleet.rendezvous_host']() %}
{% set key = 'push-client rendezvous key /etc/firn/rendezvous.pub ' ~ firn.port ~ firn.from %}
{% set block = 'push-client rendezvous sshd-config ' ~ firn.port %}

include:
  - firn.push-client

firn-rendezvous:
  user.present:
    - system: true
    - home: /nonexistent
    - createhome: false
    - shell: /usr/sbin/nologin
    - password: '*'
    - fullname: Firn, called by the backup server

/etc/firn/rendezvous.pub:
  file.managed:
    - contents: {{ firn.key | json }}
    - user: root
    - group: root
    - mode: '0644'
    - require:
      - sls: firn.push-client

firn_rendezvous_keys:
  cmd.run:
    - name: {{ ('umask 022 && ' ~ key ~ ' > /etc/firn/rendezvous_keys.new && mv /etc/firn/rendezvous_keys.new /etc/firn/rendezvous_keys') | json }}
    - unless: {{ (key ~ ' | cmp -s - /etc/firn/rendezvous_keys') | json }}
    - require:
      - file: /etc/firn/rendezvous.pub
      - user: firn-rendezvous

# The block first is whole, then takes effect: sshd reads what ends in .conf. One that sshd does not take is gone again.
firn_rendezvous_sshd:
  cmd.run:
    - name: {{ ('umask 022 && ' ~ block ~ ' > /etc/ssh/sshd_config.d/60-firn-rendezvous.new && mv /etc/ssh/sshd_config.d/60-firn-rendezvous.new /etc/ssh/sshd_config.d/60-firn-rendezvous.conf && { sshd -t && systemctl reload ' ~ names.sshd_service ~ ' || { rm /etc/ssh/sshd_config.d/60-firn-rendezvous.conf; false; }; }') | json }}
    - unless: {{ (block ~ ' | cmp -s - /etc/ssh/sshd_config.d/60-firn-rendezvous.conf') | json }}
    - require:
      - cmd: firn_rendezvous_keys
