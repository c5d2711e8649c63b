# What pillar firn:roles says that this machine is; each role is a state of its own.
{% set roles = salt['firn_fleet.roles']() %}
{% if roles %}
include:
  {% for role in roles %}
  - firn.{{ role }}
  {% endfor %}
{% endif %}
