"""What holds for scripts here; is a settings file right?"""
